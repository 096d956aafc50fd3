"""Events: what users did trains and is judged beside what they said, and a team without a rating has a model."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.formatting.run_report import page
from usher.runs.gate import judge as gate
from usher.schema.interactions import CLICK, KINDS, PURCHASE, RATING, VIEW
from usher_models.artifacts import TrainingResult, read_result, write_result
from usher_models.container import Paths
from usher_models.errors import DataError
from usher_models.evaluation import leakage
from usher_models.evaluation.build_bundle import Prepared, build_bundle
from usher_models.evaluation.program import evaluate_models
from usher_models.evaluation.window import split_window
from usher_models.prepare.program import prepare
from usher_models.ratings import Items, Ratings, read_items, read_ratings, read_users
from usher_models.train import train
from usher_scorer.bundle import Bundle, load, sha256
from usher_scorer.errors import BundleError, RequestError
from usher_scorer.invocations import invoke
from usher_scorer.profiles import Profiles, weigh

HEADERS = {
    "ratings": ("userId", "movieId", "rating", "timestamp"),
    "events": ("event_id", "user_id", "item_id", "type", "value", "occurred_at"),
}
START = 1_000_000_000
Fit = Callable[..., TrainingResult]
Make = Callable[..., Prepared]


@pytest.fixture
def given(tmp_path: Path) -> Callable[..., Paths]:
    def make(**datasets: Iterable[tuple[Any, ...]]) -> Paths:
        for name, rows in datasets.items():
            folder = Paths(tmp_path).processing_input(name)
            folder.mkdir(parents=True)
            with (folder / "rows.csv").open("w", newline="") as file:
                csv.writer(file).writerows([HEADERS[name], *rows])
        return Paths(tmp_path)

    return make


def clicks(count: int) -> list[tuple[Any, ...]]:
    """One click a day, five users, ten items."""
    return [(f"e{n}", f"u{n % 5}", f"i{n // 5 % 10}", "click", "", START + n * 86_400) for n in range(count)]


def found(paths: Paths) -> dict[tuple[str, str, str], tuple[str, float, int]]:
    """(user, item, result) → (kind, rating, epoch second) of everything prepared."""
    output = paths.processing_output("prepared")
    users, items = read_users(output / "users", "users"), read_items(output / "items", "items").catalogue.ids
    rows = {}
    for result in ("train", "validation", "test"):
        read = read_ratings(output / result, result)
        for user, item, value, us, kind in zip(read.user, read.item, read.value, read.time_us, read.kind, strict=True):
            rows[users[user], items[item], result] = (KINDS[kind], float(value), int(us) // 1_000_000)
    return rows


def as_events(world: Ratings) -> Ratings:
    """The small world's users, who bought what they would give five stars, clicked on the good, viewed the rest."""
    kind = np.where(world.value == 5, PURCHASE, np.where(world.value >= 4, CLICK, VIEW)).astype(np.int8)
    return replace(world, value=np.zeros(len(world), np.float32), kind=kind)


@pytest.fixture(scope="session")
def deeds(world: Ratings) -> Ratings:
    return as_events(world)


@pytest.fixture
def without_ratings(deeds: Ratings, items: Items, make_prepared: Make) -> Prepared:
    return make_prepared(deeds, items, 240)


@pytest.fixture
def event_results(without_ratings: Prepared, fit: Fit) -> list[TrainingResult]:
    return [fit(name, without_ratings.before, without_ratings.items) for name in ("ranker", "knn")]


@pytest.fixture
def event_bundle(without_ratings: Prepared, event_results: list[TrainingResult], tmp_path: Path) -> Bundle:
    return build_bundle(without_ratings, event_results, tmp_path / "bundle")


def ask(bundle: Bundle, **request: Any) -> dict[str, Any]:
    return invoke(bundle, json.dumps(request).encode())


@pytest.mark.parametrize("kind", ["", "purchased", "rating"])
def test_an_event_of_another_kind_is_refused_and_quoted(given: Callable[..., Paths], kind: str) -> None:
    with pytest.raises(DataError, match="1 of 31 events lack an id or a time, or are not a purchase, click or view"):
        prepare(given(events=[*clicks(30), ("e", "u", "i", kind, "", START)]))


def test_views_alone_train_nothing(given: Callable[..., Paths]) -> None:
    views = [(*row[:3], "view", *row[4:]) for row in clicks(40)]
    with pytest.raises(DataError, match=r"the snapshot has no ratings, purchases or clicks \(40 views are not enough"):
        prepare(given(events=views))


def test_a_channel_with_a_kind_that_there_is_not_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - only this test writes Parquet
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns = {"user": [0], "item": [0], "rating": [4.0], "rated_at_us": [1], "kind": pa.array([4], pa.int8())}
    pq.write_table(pa.table(columns), tmp_path / "result.parquet")
    with pytest.raises(DataError, match=r"channel train: kind must be one of 0 \(rating\), 1 \(purchase\)"):
        read_ratings(tmp_path, "train")


def test_events_without_any_rating_are_split_by_time_like_ratings(given: Callable[..., Paths]) -> None:
    paths = given(events=clicks(50))
    summary = prepare(paths)
    assert summary["rows"] == {"train": 36, "validation": 4, "test": 10}
    assert summary["kinds"] == {"rating": 0, "purchase": 0, "click": 50, "view": 0}
    assert {row[0] for row in found(paths).values()} == {"click"}


def test_an_event_that_was_delivered_twice_counts_once_as_it_first_arrived(given: Callable[..., Paths]) -> None:
    again = ("e7", "u9", "i99", "purchase", "", START)
    paths = given(events=[*clicks(50), ("e3", *clicks(4)[3][1:]), again])
    summary = prepare(paths)
    assert summary["repeated_events"] == 2
    assert sum(summary["kinds"].values()) == 50


def test_of_one_user_and_item_the_strongest_kind_wins_on_each_side_of_the_split(given: Callable[..., Paths]) -> None:
    def all_of(user: str, *kinds: str) -> list[tuple[Any, ...]]:
        return [(f"{user}{n}", user, "x", kind, "", START + 100 + n) for n, kind in enumerate(kinds)]

    events = [*clicks(50), *all_of("a", "purchase", "click", "view"), *all_of("b", "view", "click", "click")]
    late = START + 49 * 86_400
    events += [("c1", "c", "x", "purchase", "9.99", START + 100), ("c2", "c", "x", "view", "", late)]
    ratings = [("a", "x", 1.5, START + 50), ("d", "x", 4, START + 50)]
    rows = found_of(given(events=events, ratings=ratings))
    expected = {
        ("a", "x", "train"): ("rating", 1.5, START + 50),
        ("b", "x", "train"): ("click", 0.0, START + 102),
        ("c", "x", "train"): ("purchase", 0.0, START + 100),
        ("c", "x", "test"): ("view", 0.0, late),
        ("d", "x", "train"): ("rating", 4.0, START + 50),
    }
    assert {row: rows[row] for row in expected} == expected


def found_of(paths: Paths) -> dict[tuple[str, str, str], tuple[str, float, int]]:
    prepare(paths)
    return found(paths)


def test_views_do_not_move_the_split(given: Callable[..., Paths]) -> None:
    late = START + 45 * 86_400
    views = [(f"v{n}", f"u{n}", "i1", "view", "", late + n) for n in range(500)]
    summary = prepare(given(events=[*clicks(50), *views]))
    assert summary["split_at_us"] == (START + 40 * 86_400) * 1_000_000


def test_what_was_viewed_may_be_predicted_what_was_clicked_may_not(rated: Callable[..., Ratings]) -> None:
    before = kinds(rated([(0, 1, 0, 0), (0, 2, 0, 0), (0, 3, 0, 0)]), VIEW, CLICK, RATING)
    inside = kinds(
        rated([(0, 8, 0, 9), (0, 1, 0, 10), (0, 2, 0, 11), (0, 3, 0, 12), (0, 4, 0, 13)]), CLICK, *[PURCHASE] * 4
    )
    window = split_window(before, inside)
    assert window.later_item.tolist() == [4]  # 8 and 1 are the first half: told, not asked
    inside = kinds(rated([(0, 8, 0, 9), (0, 1, 0, 10), (0, 5, 0, 11)]), CLICK, PURCHASE, VIEW)
    window = split_window(before, inside)
    assert window.later_item.tolist() == [1]
    assert window.relevant.all()


def kinds(rows: Ratings, *each: int) -> Ratings:
    return replace(rows, kind=np.array(each, np.int8))


def test_another_row_of_the_same_item_after_the_split_is_not_leakage(rated: Callable[..., Ratings]) -> None:
    before, inside = rated([(0, 1, 4.0, 0)]), rated([(0, 1, 5.0, 9)])
    assert leakage.window_findings(0, 0, int(inside.time_us[0]), before, inside) == []
    twice = before.join(inside)
    findings = leakage.window_findings(0, 0, int(inside.time_us[0]), twice, inside)
    assert "rows of the window are among the training rows" in findings


def test_a_purchase_weighs_more_than_a_click_and_that_more_than_a_view() -> None:
    weights = weigh(np.zeros(4, np.float32), np.array([RATING, PURCHASE, CLICK, VIEW], np.int8)).tolist()
    assert weights[1] > weights[2] > weights[3] > 0 > weights[0]
    assert weights[1] == weigh(np.array([5.0], np.float32), np.array([RATING], np.int8))[0]


def test_events_alone_make_a_bundle_that_beats_popularity_and_passes_the_gate(
    without_ratings: Prepared, event_results: list[TrainingResult], event_bundle: Bundle
) -> None:
    facts = evaluate_models(without_ratings, event_results, event_bundle, None)
    assert facts["leaks"] == []
    assert facts["window"]["rated_rows"] == 0
    assert not {"rmse", "mae"} & facts["metrics"]["candidate"].keys()
    assert "bias_only" not in facts["metrics"]
    assert facts["metrics"]["candidate"]["ndcg@10"] > facts["metrics"]["popularity"]["ndcg@10"]
    verdict = gate(json.loads(json.dumps(facts)), 10)
    assert verdict.passed, verdict
    assert "<td>of them ratings</td><td class=n>0</td>" in page(facts)


def test_a_bundle_of_events_serves_every_operation_but_predicted_ratings(event_bundle: Bundle) -> None:
    answer = ask(event_bundle, op="recommend", user_id="u0", explain=True)
    assert answer["level"] == "model"
    texts = " ".join(item["reason"]["text"] for item in answer["items"])
    assert "bought" in texts or "clicked" in texts
    assert "liked" not in texts
    assert all("predicted" not in item["reason"] for item in answer["items"])
    assert ask(event_bundle, op="similar", item_id="m0")["items"]
    assert ask(event_bundle, op="popular")["items"]
    with pytest.raises(RequestError, match="no factorization machine"):
        ask(event_bundle, op="score", user_id="u0", items=["m0"])


def test_bought_and_clicked_items_are_never_recommended_viewed_ones_may_be(
    event_bundle: Bundle, deeds: Ratings
) -> None:
    shown = {item["item_id"] for item in ask(event_bundle, op="recommend", user_id="u0", k=40)["items"]}
    mine = deeds.take(deeds.user == 0).strongest()
    seen = {f"m{item}" for item in mine.item[mine.kind != VIEW]}
    viewed = {f"m{item}" for item in mine.item[mine.kind == VIEW]}
    assert seen
    assert viewed
    assert not seen & shown
    assert viewed <= shown


def test_events_of_a_request_count_at_once_and_a_rating_outweighs_them(event_bundle: Bundle) -> None:
    bought = ask(event_bundle, op="recommend", profile=[["m0", "purchase", 1], ["m2", "purchase", 2]], k=5)
    assert bought["level"] == "fold_in"
    assert {int(item["item_id"][1:]) % 2 for item in bought["items"]} == {0}
    assert "m0" not in {item["item_id"] for item in bought["items"]}
    hated = [["m0", 0.5, 1], ["m0", "purchase", 2]]
    assert ask(event_bundle, op="recommend", profile=hated) == ask(event_bundle, op="recommend", profile=hated[:1])
    with pytest.raises(RequestError, match=r"from 0\.5 to 5, or purchase, click, view"):
        ask(event_bundle, op="recommend", profile=[["m0", "buy", 1]])


def test_a_purchase_that_feedback_keeps_as_a_rating_is_not_a_new_row(event_bundle: Bundle, deeds: Ratings) -> None:
    mine = deeds.take((deeds.user == 0) & (deeds.kind == PURCHASE))
    item, second = f"m{mine.item[0]}", int(mine.time_us[0]) // 1_000_000
    known = ask(event_bundle, op="recommend", user_id="u0")
    assert known["level"] == "model"
    assert ask(event_bundle, op="recommend", user_id="u0", profile=[[item, 4.0, second]]) == known
    later = ask(event_bundle, op="recommend", user_id="u0", profile=[[item, 1.0, second + 60]])
    assert later["level"] == "fold_in"
    assert later["items"] != known["items"]


def test_predicted_ratings_rest_on_ratings_alone(bundle: Bundle) -> None:
    assert bundle.rater
    ratings = Profiles.of_one([1, 3], [4.0, 2.0], [5, 6])
    both = Profiles.of_one([1, 2, 3, 4], [4.0, 0.0, 2.0, 0.0], [5, 9, 6, 9], [RATING, PURCHASE, RATING, CLICK])
    assert np.array_equal(bundle.rater.fold_in(ratings), bundle.rater.fold_in(both))


def test_without_a_rating_before_the_split_fm_is_left_out_and_the_run_goes_on(
    without_ratings: Prepared, event_results: list[TrainingResult], fit: Fit, tmp_path: Path
) -> None:
    result = fit("fm", without_ratings.before, without_ratings.items)
    write_result(result, tmp_path / "fm")
    trained = [*event_results, read_result(tmp_path / "fm")]
    made = build_bundle(without_ratings, trained, tmp_path / "with")
    assert made.rater is None
    facts = evaluate_models(without_ratings, trained, made, None)
    assert facts["left_out"] == {"fm": "no rating lies before the split, only events"}
    assert "Left out: fm: no rating lies before the split" in page(facts)


def test_tuning_without_a_rating_goes_on_with_the_worst_error_there_is(
    deeds: Ratings, world: Ratings, items: Items, job: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A trial that printed no metric would fail the tuning job, and with it the run."""
    late = deeds.time_us >= np.quantile(deeds.time_us, 0.8)
    given = {"algorithm": "fm", "epochs": "4", "samples": "2"}
    root = job(given, train=deeds.take(~late), validation=deeds.take(late), items=items)
    assert train(Paths(root)).artifact.left_out
    shutil.rmtree(root)
    root = job(given, train=world.take(~late), validation=deeds.take(late), items=items)
    assert not train(Paths(root)).artifact.left_out
    assert capsys.readouterr().out.splitlines().count("validation:rmse=4.500000") == 2


def test_what_the_plan_left_out_is_in_the_report(
    without_ratings: Prepared, event_results: list[TrainingResult], event_bundle: Bundle
) -> None:
    summary = {**without_ratings.summary, "left_out": {"fm": "there is no rating"}}
    facts = evaluate_models(replace(without_ratings, summary=summary), event_results, event_bundle, None)
    assert "Left out: fm: there is no rating." in page(facts)


def test_fm_learns_the_same_with_any_events_beside_the_ratings(
    world: Ratings, items: Items, fit: Fit, deeds: Ratings
) -> None:
    shifted = replace(deeds, item=np.roll(deeds.item, 1))
    alone, beside = fit("fm", world, items), fit("fm", world.join(shifted), items)
    for name, array in alone.artifact.arrays.items():
        assert np.array_equal(array, beside.artifact.arrays[name]), name


def test_a_champion_of_ratings_and_a_candidate_with_events_are_evaluated_on_one_window(  # noqa: PLR0917 - fixtures
    world: Ratings, deeds: Ratings, items: Items, bundle: Bundle, make_prepared: Make, fit: Fit, tmp_path: Path
) -> None:
    """Every other user's rows turn into events after the champion's time."""
    turned = (world.user % 4 < 2) & (world.time_us >= world.time_us.min() + 260 * 86_400_000_000)
    mixed = world.take(~turned).join(deeds.take(turned))
    prepared = make_prepared(mixed, items, 270, run_id="rtest-2")
    trained = [fit(name, prepared.before, items) for name in ("fm", "knn", "ranker")]
    facts = evaluate_models(prepared, trained, build_bundle(prepared, trained, tmp_path / "candidate"), bundle)
    assert facts["leaks"] == []
    assert 0 < facts["window"]["rated_rows"] < facts["window"]["later_rows"]
    for model in ("candidate", "champion"):
        assert {"ndcg@10", "rmse"} <= facts["metrics"][model].keys()
    assert "squared_error" in facts["intervals"]["candidate-champion"]
    assert gate(facts, 10).passed


def test_a_bundle_from_before_events_is_read_as_ratings(bundle_folder: Path, bundle: Bundle, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(bundle_folder, older)
    (older / "profiles.kinds.npy").unlink()
    manifest = json.loads((older / "manifest.json").read_text())
    del manifest["sha256"]["profiles.kinds.npy"]
    (older / "manifest.json").write_text(json.dumps({**manifest, "schema": 1}))
    question = {"op": "recommend", "user_id": "u3", "explain": True}
    assert ask(load(older), **question) == ask(bundle, **question)


def test_a_bundle_with_a_kind_that_there_is_not_is_refused(bundle_folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle_folder, damaged)
    wrong = np.load(damaged / "profiles.kinds.npy") + np.int8(9)
    np.save(damaged / "profiles.kinds.npy", wrong)
    manifest = json.loads((damaged / "manifest.json").read_text())
    manifest["sha256"]["profiles.kinds.npy"] = sha256(damaged / "profiles.kinds.npy")
    (damaged / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="the profiles do not fit"):
        load(damaged)
