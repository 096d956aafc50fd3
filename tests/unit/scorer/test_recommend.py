"""The scorer: the fallback chain, what may be shown, and the numbers behind a reason."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usher_scorer.bundle import Bundle
from usher_scorer.errors import RequestError
from usher_scorer.profiles import Profiles
from usher_scorer.ranking import relevance, top_k
from usher_scorer.recommend import Filters, Rated, popular, recommend, score, similar

NOW_US = 1_700_000_000_000_000
ALL = Filters()


def session(*rows: tuple[str, float]) -> list[Rated]:
    return [Rated(item, rating, NOW_US + n) for n, (item, rating) in enumerate(rows)]


def ids(answer: dict[str, Any]) -> list[str]:
    return [entry["item_id"] for entry in answer["items"]]


def test_an_unknown_genre_names_the_nearest(bundle: Bundle) -> None:
    with pytest.raises(RequestError, match="no item has the genre 'Comdey'; try comedy"):
        popular(bundle, 5, Filters(genre="Comdey"))


def test_an_unknown_item_has_no_neighbours(bundle: Bundle) -> None:
    with pytest.raises(RequestError, match="no item has the id 'nowhere'"):
        similar(bundle, "nowhere", 5, ALL)


@pytest.mark.parametrize("text", ["soon", "2005-13-01", "20050101T", "99999"])
def test_a_date_that_is_none_is_refused(bundle: Bundle, text: str) -> None:
    with pytest.raises(RequestError, match="give a year or a date"):
        popular(bundle, 5, Filters(not_released_after=text))


def test_an_unknown_user_gets_popular_items(bundle: Bundle) -> None:
    for user in (None, "nobody"):
        answer = recommend(bundle, user, [], 5, ALL)
        assert answer["level"] == "popular"
        assert ids(answer) == ids(popular(bundle, 5, ALL))


def test_a_session_of_unknown_items_gets_what_is_popular(bundle: Bundle) -> None:
    assert recommend(bundle, None, session(("gone", 5.0)), 5, ALL)["level"] == "popular"


def test_a_known_user_is_served_by_the_model(bundle: Bundle) -> None:
    answer = recommend(bundle, "u0", [], 5, ALL)
    assert answer["level"] == "model"
    assert all(int(item[1:]) % 2 == 0 for item in ids(answer))


def test_a_session_is_folded_in(bundle: Bundle) -> None:
    answer = recommend(bundle, None, session(("m1", 5.0), ("m3", 4.0)), 5, ALL)
    assert answer["level"] == "fold_in"
    assert all(int(item[1:]) % 2 == 1 for item in ids(answer))


def test_fresh_feedback_changes_the_answer_and_the_level(bundle: Bundle) -> None:
    odd = session(*((f"m{n}", 5.0) for n in range(1, 38, 2)))
    answer = recommend(bundle, "u0", odd, 5, ALL)
    assert answer["level"] == "fold_in"
    assert ids(answer) != ids(recommend(bundle, "u0", [], 5, ALL))


def test_feedback_that_the_bundle_knows_already_changes_nothing(bundle: Bundle) -> None:
    mine = bundle.profiles.slice(0, 1)
    known = [
        Rated(bundle.catalogue.ids[item], float(value), int(time))
        for item, value, time in zip(mine.items, mine.values, mine.times_us, strict=True)
    ]
    assert recommend(bundle, "u0", known, 5, ALL) == recommend(bundle, "u0", [], 5, ALL)


def without(bundle: Bundle, *names: str) -> Bundle:
    return replace(bundle, components={name: one for name, one in bundle.components.items() if name not in names})


def test_without_a_ranker_content_orders_the_catalogue(bundle: Bundle) -> None:
    answer = recommend(without(bundle, "ranker"), None, session(("m1", 5.0)), 5, ALL)
    assert answer["level"] == "fold_in"
    assert all(int(item[1:]) % 2 == 1 for item in ids(answer))


def test_without_any_model_popularity_orders_the_catalogue(bundle: Bundle) -> None:
    bare = without(bundle, "ranker", "content")
    answer = recommend(bare, "u0", [], 5, ALL)
    assert answer["level"] == "popular"
    assert not set(ids(answer)) & {bundle.catalogue.ids[item] for item in bundle.profiles.slice(0, 1).items}


def test_without_a_rater_no_rating_is_predicted(bundle: Bundle) -> None:
    with pytest.raises(RequestError, match="cannot predict ratings"):
        score(without(bundle, "fm"), "u0", [], ["m1"])


def test_rated_items_never_come_back(bundle: Bundle) -> None:
    for n, user in enumerate(bundle.users):
        rated = {bundle.catalogue.ids[item] for item in bundle.profiles.slice(n, n + 1).items}
        answer = recommend(bundle, user, session(("m5", 3.0)), 500, ALL)
        assert not (rated | {"m5"}) & set(ids(answer))
        assert len(answer["items"]) == len(bundle.catalogue) - len(rated | {"m5"})


def test_a_user_who_rated_everything_gets_an_empty_list(bundle: Bundle) -> None:
    everything = session(*((item, 4.0) for item in bundle.catalogue.ids))
    assert recommend(bundle, None, everything, 10, ALL)["items"] == []


def test_filters_hold_together(bundle: Bundle) -> None:
    filters = Filters(exclude=["m0", "m2", "unknown"], genre="COMEDY", not_released_after="2000")
    answer = recommend(bundle, "u1", [], 50, filters)
    shown = set(ids(answer))
    assert shown
    assert all(int(item[1:]) % 2 == 0 for item in shown)
    assert not shown & {"m0", "m2"}
    assert popular(bundle, 50, Filters(not_released_after="1989-12-31"))["items"] == []


def test_an_item_without_ratings_is_found_by_its_content(bundle: Bundle) -> None:
    """m38 and m39 have no rating.

    The ranker does not cover them, similar items and recommendations still reach them.
    """
    assert "m39" in ids(similar(bundle, "m37", 40, ALL)) or "m37" in ids(similar(bundle, "m39", 40, ALL))
    near = ids(similar(bundle, "m39", 5, ALL))
    assert near
    assert all(int(item[1:]) % 2 == 1 for item in near)
    order = ids(recommend(bundle, "u1", [], 40, ALL))
    assert order.index("m39") < order.index("m38")


def test_similar_items_are_near_and_never_the_item_itself(bundle: Bundle) -> None:
    answer = similar(bundle, "m4", 6, ALL)
    assert "m4" not in ids(answer)
    assert all(int(item[1:]) % 2 == 0 for item in ids(answer))
    scores = [entry["score"] for entry in answer["items"]]
    assert scores == sorted(scores, reverse=True)


def test_a_reason_names_what_was_liked_and_its_terms_add_up(bundle: Bundle) -> None:
    answer = recommend(bundle, None, session(("m1", 5.0), ("m3", 4.5), ("m0", 1.0)), 3, ALL, explain=True)
    for entry in answer["items"]:
        reason = entry["reason"]
        assert reason["text"].startswith("because you liked Title")
        assert {because["item_id"] for because in reason["because"]} <= {"m1", "m3"}
        assert sum(because["share"] for because in reason["because"]) <= 1.0001
        predicted = reason["predicted"]
        total = sum(predicted[result] for result in ("average", "user", "item", "match"))
        assert predicted["rating"] == pytest.approx(min(max(total, 0.5), 5.0), abs=0.001)


def test_a_popular_answer_says_so(bundle: Bundle) -> None:
    answer = recommend(bundle, "nobody", [], 2, ALL, explain=True)
    assert [entry["reason"]["text"] for entry in answer["items"]] == ["many people like it"] * 2
    assert answer["items"][0]["reason"]["predicted"]["match"] == pytest.approx(0, abs=0.5)


def test_contributions_add_up_to_the_score(bundle: Bundle) -> None:
    profile = bundle.profiles.slice(3, 4)
    (ranker,) = bundle.rankers
    scores = ranker.scores(profile)[0]
    for place in (0, 7, len(ranker.covered) - 1):
        added = ranker.contributions(profile, int(ranker.covered[place]))
        assert added.sum() == pytest.approx(scores[place], abs=1e-4)


def test_one_user_alone_scores_as_among_many(bundle: Bundle) -> None:
    crowd, informed = relevance(bundle, bundle.profiles.slice(0, 9))
    assert informed.all()
    for user in range(9):
        alone, _ = relevance(bundle, bundle.profiles.slice(user, user + 1))
        np.testing.assert_allclose(alone[0], crowd[user], atol=1e-4)


def test_predicted_ratings_lie_on_the_scale_and_follow_the_taste(bundle: Bundle) -> None:
    own, other, unknown = score(bundle, "u0", [], ["m0", "m1", "never seen"])["scores"]
    assert 3.5 < own <= 5
    assert 0.5 <= other < 2.8
    assert 0.5 <= unknown <= 5


def test_an_unknown_user_gets_average_ratings(bundle: Bundle) -> None:
    scores = score(bundle, None, [], list(bundle.catalogue.ids))["scores"]
    assert np.std(scores) < 0.5
    assert 2 < np.mean(scores) < 4


@given(
    st.lists(
        st.lists(st.sampled_from([-np.inf, 0.0, 0.5, 1.0, 2.0]), min_size=12, max_size=12), min_size=1, max_size=5
    ),
    st.integers(1, 15),
)
@settings(max_examples=200)
def test_the_top_is_that_of_a_stable_sort(rows: list[list[float]], k: int) -> None:
    scores = np.array(rows, np.float32)
    best = top_k(scores, k)
    for row, shown in zip(scores, best, strict=True):
        order = [n for n in sorted(range(len(row)), key=lambda n, row=row: (-row[n], n)) if row[n] > -np.inf]
        assert [n for n in shown.tolist() if n >= 0] == order[:k]
        assert top_k(row, k).tolist() == order[:k]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([2.0, 4.0]), st.integers(0, 3)), max_size=12))
@settings(max_examples=200)
def test_ages_count_the_positives_after_a_row(rows: list[tuple[int, float, int]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    users = np.array([row[0] for row in rows], np.int64)
    values = np.array([row[1] for row in rows], np.float32)
    times = np.array([row[2] for row in rows], np.int64)
    ages = Profiles.gather(users, np.zeros(len(rows), np.int64), values, times, 3).ages
    for n in range(len(rows)):
        others = [m for m in range(len(rows)) if m != n and users[m] == users[n] and values[m] >= 4]
        expected = sum(1.0 if times[m] > times[n] else 0.5 if times[m] == times[n] else 0.0 for m in others)
        assert ages[n] == expected


def test_importing_the_scorer_loads_numpy_and_no_other_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import usher_scorer.invocations; "
        "print(*(name for name in sys.modules if name not in before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    packages = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert {name for name in packages if not name.startswith("_")} == {"numpy", "usher", "usher_scorer"}
    assert len(loaded) < 250, "150 with numpy 2.4; benchmarks/startup.py measures their CPU time"
