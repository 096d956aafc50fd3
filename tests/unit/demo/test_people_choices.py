"""People choose by what they see alone: seeded, position-biased, and blind for who made the list."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from demo.simulated_users.calibration import Calibration
from demo.simulated_users.crowd import FIRST_RATINGS, Crowd
from demo.simulated_users.examination import examination
from demo.simulated_users.factors import Factors
from demo.simulated_users.history import History
from demo.simulated_users.person import Person
from demo.simulated_users.taste import Taste

ITEMS = tuple(f"i{n}" for n in range(20))


def a_history() -> History:
    """Fifty people; each rates four items at a time of their own, those with high numbers last."""
    person = np.repeat(np.arange(50), 4)
    item = (person * 3 + np.tile(np.arange(4), 50)) % len(ITEMS)
    return History(tuple(f"p{n}" for n in range(50)), ITEMS, person, item, np.full(200, 4.0), np.arange(200))


@pytest.fixture(scope="module")
def taste() -> Taste:
    """Everybody likes the items of low numbers: the only factor falls from 1 to 0."""
    fall = np.linspace(1.0, 0.0, len(ITEMS))[:, None]
    factors = Factors(np.ones((50, 1)), fall)
    places = {item: place for place, item in enumerate(ITEMS)}
    biases = np.zeros(50), np.zeros(len(ITEMS))
    return Taste(a_history(), factors, Calibration(-4.0, 0.0, 6.0), 3.5, *biases, 0.5, places)


def somebody(taste: Taste, number: int = 0, seen: set[str] | None = None) -> Person:
    return Person("p", taste, np.ones(1), 0.0, seen or set(), np.random.default_rng(number))


def clicks(taste: Taste, shown: list[str], people: int = 3000) -> Counter[str]:
    found: Counter[str] = Counter()
    for number in range(people):
        found.update(action.item_id for action in somebody(taste, number).respond(shown) if action.kind == "click")
    return found


def test_nobody_clicks_what_they_know_already_or_what_does_not_exist(taste: Taste) -> None:
    for number in range(200):
        assert not somebody(taste, number, set(ITEMS)).respond(list(ITEMS))
        assert not somebody(taste, number).respond(["made-up", ""])
    assert somebody(taste).respond([]) == []


def test_clicks_come_as_often_as_looking_times_liking_says(taste: Taste) -> None:
    shown, people = list(ITEMS[:6]), 3000
    expected = examination(6) * taste.attraction(np.ones(1), np.arange(6)) * people
    found = clicks(taste, shown, people)
    for place, item in enumerate(shown):
        assert found[item] == pytest.approx(expected[place], abs=5 * np.sqrt(expected[place]))


def test_the_same_item_is_clicked_more_often_at_the_top(taste: Taste) -> None:
    up, down = clicks(taste, ["i3", "i8", "i9"]), clicks(taste, ["i9", "i8", "i3"])
    assert up["i3"] > 1.3 * down["i3"]


def test_a_better_list_is_clicked_more_though_nobody_says_whose_it_is(taste: Taste) -> None:
    good, bad = clicks(taste, list(ITEMS[:5])), clicks(taste, list(ITEMS[-5:]))
    assert sum(good.values()) > 3 * sum(bad.values())


def test_what_was_clicked_is_known_from_then_on_and_ratings_follow_clicks(taste: Taste) -> None:
    person = somebody(taste, 4)
    actions = person.respond(list(ITEMS[:10]))
    clicked = {action.item_id for action in actions if action.kind == "click"}
    assert clicked and clicked <= person.seen
    assert {action.item_id for action in actions if action.kind == "rating"} <= clicked
    assert all(action.value is None for action in actions if action.kind == "click")


def test_examination_falls_with_the_rank_from_one() -> None:
    looks = examination(10)
    assert looks[0] == 1.0
    assert (np.diff(looks) < 0).all() and (looks > 0).all()


def test_the_same_seed_brings_the_same_people_in_the_same_order(taste: Taste) -> None:
    one, same, other = (list(islice(Crowd(taste, 160, seed).arrivals(), 60)) for seed in (1, 1, 2))
    assert [person.user_id for person in one] == [person.user_id for person in same]
    assert [person.user_id for person in one] != [person.user_id for person in other]
    assert [person.respond(list(ITEMS)) for person in one] == [person.respond(list(ITEMS)) for person in same]


def test_known_people_come_once_and_only_those_whom_usher_was_told_of(taste: Taste) -> None:
    known = [person for person in islice(Crowd(taste, 160, 1).arrivals(), 400) if not person.first_ratings]
    names = [person.user_id for person in known]
    assert len(names) == len(set(names))
    assert names and {int(name[1:]) for name in names} < set(range(40))
    assert all(len(person.seen) == 4 for person in known)


def test_those_who_were_there_lately_come_back_sooner(taste: Taste) -> None:
    found = Counter(
        int(person.user_id[1:]) >= 20
        for seed in range(10)
        for person in islice(Crowd(taste, 160, seed).arrivals(), 200)
        if not person.first_ratings
    )
    assert found[True] > 3 * found[False]


def test_new_people_begin_with_ratings_of_a_real_person_who_came_late(taste: Taste) -> None:
    history = taste.history
    new = [person for person in islice(Crowd(taste, 160, 1).arrivals(), 100) if person.first_ratings]
    assert len({person.user_id for person in new}) == len(new)
    late = [set(history.item[history.person == person].tolist()) for person in range(35, 50)]
    for person in new:
        rated = {taste.places[action.item_id] for action in person.first_ratings}
        assert 1 <= len(rated) == len(person.first_ratings) <= FIRST_RATINGS
        assert any(rated <= own for own in late)
        assert person.seen == {action.item_id for action in person.first_ratings}


def test_the_same_people_on_another_occasion_choose_anew(taste: Taste) -> None:
    names = [
        {person.user_id for person in islice(Crowd(taste, 160, 1, occasion=occasion).arrivals(), 50)}
        for occasion in ("before", "after")
    ]
    new = [{name for name in found if not name.startswith("p")} for found in names]
    assert not new[0] & new[1]
