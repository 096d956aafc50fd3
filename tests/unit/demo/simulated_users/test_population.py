"""Simulated users click by a position-based click model: seeded, and without knowing which variant made a list."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from demo.simulated_users.click_model import SimulatedUser, examination_probabilities
from demo.simulated_users.history import History
from demo.simulated_users.population import FIRST_RATINGS, Population
from demo.simulated_users.preference_model import Calibration, Factors, PreferenceModel

ITEMS = tuple(f"i{n}" for n in range(20))


def a_history() -> History:
    """Fifty users; each rates four items at a time of their own, those with high numbers last."""
    user = np.repeat(np.arange(50), 4)
    item = (user * 3 + np.tile(np.arange(4), 50)) % len(ITEMS)
    return History(tuple(f"p{n}" for n in range(50)), ITEMS, user, item, np.full(200, 4.0), np.arange(200))


@pytest.fixture(scope="module")
def preferences() -> PreferenceModel:
    """All users like items with low numbers: the only factor falls from 1 to 0."""
    fall = np.linspace(1.0, 0.0, len(ITEMS))[:, None]
    factors = Factors(np.ones((50, 1)), fall)
    index = {item: number for number, item in enumerate(ITEMS)}
    biases = np.zeros(50), np.zeros(len(ITEMS))
    return PreferenceModel(a_history(), factors, Calibration(-4.0, 0.0, 6.0), 3.5, *biases, 0.5, index)


def a_user(preferences: PreferenceModel, number: int = 0, seen: set[str] | None = None) -> SimulatedUser:
    return SimulatedUser("p", preferences, np.ones(1), 0.0, seen or set(), np.random.default_rng(number))


def clicks(preferences: PreferenceModel, shown: list[str], users: int = 3000) -> Counter[str]:
    found: Counter[str] = Counter()
    for number in range(users):
        actions = a_user(preferences, number).respond(shown)
        found.update(action.item_id for action in actions if action.kind == "click")
    return found


def test_seen_and_unknown_items_are_not_clicked(preferences: PreferenceModel) -> None:
    for number in range(200):
        assert not a_user(preferences, number, set(ITEMS)).respond(list(ITEMS))
        assert not a_user(preferences, number).respond(["made-up", ""])
    assert a_user(preferences).respond([]) == []


def test_the_click_rate_is_examination_times_like_probability(preferences: PreferenceModel) -> None:
    shown, users = list(ITEMS[:6]), 3000
    expected = examination_probabilities(6) * preferences.like_probability(np.ones(1), np.arange(6)) * users
    found = clicks(preferences, shown, users)
    for rank, item in enumerate(shown):
        assert found[item] == pytest.approx(expected[rank], abs=5 * np.sqrt(expected[rank]))


def test_an_item_is_clicked_more_often_at_the_top(preferences: PreferenceModel) -> None:
    up, down = clicks(preferences, ["i3", "i8", "i9"]), clicks(preferences, ["i9", "i8", "i3"])
    assert up["i3"] > 1.3 * down["i3"]


def test_a_better_list_is_clicked_more_often(preferences: PreferenceModel) -> None:
    good, bad = clicks(preferences, list(ITEMS[:5])), clicks(preferences, list(ITEMS[-5:]))
    assert sum(good.values()) > 3 * sum(bad.values())


def test_clicked_items_are_seen_and_ratings_follow_clicks(preferences: PreferenceModel) -> None:
    user = a_user(preferences, 4)
    actions = user.respond(list(ITEMS[:10]))
    clicked = {action.item_id for action in actions if action.kind == "click"}
    assert clicked and clicked <= user.seen
    assert {action.item_id for action in actions if action.kind == "rating"} <= clicked
    assert all(action.value is None for action in actions if action.kind == "click")


def test_the_examination_probability_falls_with_the_rank_from_one() -> None:
    probabilities = examination_probabilities(10)
    assert probabilities[0] == 1.0
    assert (np.diff(probabilities) < 0).all() and (probabilities > 0).all()


def test_the_same_seed_gives_the_same_users_in_the_same_order(preferences: PreferenceModel) -> None:
    one, same, other = (list(islice(Population(preferences, 160, seed).arrivals(), 60)) for seed in (1, 1, 2))
    assert [user.user_id for user in one] == [user.user_id for user in same]
    assert [user.user_id for user in one] != [user.user_id for user in other]
    assert [user.respond(list(ITEMS)) for user in one] == [user.respond(list(ITEMS)) for user in same]


def test_known_users_come_once_and_only_if_usher_has_their_ratings(preferences: PreferenceModel) -> None:
    known = [user for user in islice(Population(preferences, 160, 1).arrivals(), 400) if not user.first_ratings]
    names = [user.user_id for user in known]
    assert len(names) == len(set(names))
    assert names and {int(name[1:]) for name in names} < set(range(40))
    assert all(len(user.seen) == 4 for user in known)


def test_recently_active_users_return_more_often(preferences: PreferenceModel) -> None:
    found = Counter(
        int(user.user_id[1:]) >= 20
        for seed in range(10)
        for user in islice(Population(preferences, 160, seed).arrivals(), 200)
        if not user.first_ratings
    )
    assert found[True] > 3 * found[False]


def test_new_users_begin_with_ratings_of_a_real_user_who_joined_late(preferences: PreferenceModel) -> None:
    history = preferences.history
    new = [user for user in islice(Population(preferences, 160, 1).arrivals(), 100) if user.first_ratings]
    assert len({user.user_id for user in new}) == len(new)
    late = [set(history.item[history.user == user].tolist()) for user in range(35, 50)]
    for user in new:
        rated = {preferences.item_index[action.item_id] for action in user.first_ratings}
        assert 1 <= len(rated) == len(user.first_ratings) <= FIRST_RATINGS
        assert any(rated <= own for own in late)
        assert user.seen == {action.item_id for action in user.first_ratings}


def test_new_users_of_another_occasion_have_other_ids(preferences: PreferenceModel) -> None:
    names = [
        {user.user_id for user in islice(Population(preferences, 160, 1, occasion=occasion).arrivals(), 50)}
        for occasion in ("before", "after")
    ]
    new = [{name for name in found if not name.startswith("p")} for found in names]
    assert not new[0] & new[1]
