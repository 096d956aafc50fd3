"""Variants in an experiment that have no traffic, or do not answer: users are served, and the guardrails count it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from usher.experiments.stats.decisions import Minute, check_minute
from usher.experiments.stats.presets import preset
from usher.experiments.stats.state import new_state
from usher.schema.signing import verify

if TYPE_CHECKING:
    from tests.unit.core.serving.conftest import Api

KEY = b"k" * 64
NAME = "xrtest-2"
USERS = [f"u{n}" for n in range(30)]


@pytest.mark.parametrize("state", ["testing", "frozen", "baking"])
def test_a_variant_at_weight_0_is_never_served_not_even_to_who_enrolled_there(opened: Api, state: Any) -> None:
    for user in USERS:
        opened.expose(user, "B")
    opened.route(state=state, weights={"A": 1.0, "B": 0.0})
    assert {opened.serve(user)[0] for user in USERS} == {"A"}
    opened.variants.modes["A"] = "down"
    assert {opened.serve(user)[0] for user in USERS} == {None}
    assert "B" not in {variant for variant, _ in opened.variants.asked}


def test_while_the_winner_bakes_the_losers_people_go_to_it(opened: Api) -> None:
    for user in USERS:
        opened.expose(user, "A")
    opened.route(state="baking", champion="B", weights={"A": 0.0, "B": 1.0})
    assert {opened.serve(user)[0] for user in USERS} == {"B"}
    assert {(experiment, variant) for experiment, variant, _ in opened.told.asked} == {(NAME, "B")}


@pytest.mark.parametrize("mode", ["down", "broken", "garbage", "gone"])
def test_a_challenger_that_fails_is_answered_for_by_the_champion_and_enrols_nobody(opened: Api, mode: str) -> None:
    challengers = opened.given_to("B")
    opened.variants.modes["B"] = mode
    for user in challengers:
        variant, said = opened.serve(user)
        assert (variant, said.variant, said.experiment) == ("A", "A", "")
        assert opened.exposure(user) is None
    assert opened.told.asked == [(NAME, "B", ("errors",))] * len(challengers)


def test_a_broken_variant_is_passed_over_then_probed_and_back_when_it_answers(opened: Api) -> None:
    user = opened.given_to("B")[0]
    opened.variants.modes["B"] = "broken"
    for _ in range(10):
        assert opened.serve(user)[0] == "A"
    assert [variant for variant, _ in opened.variants.asked].count("B") == 3
    assert opened.told.asked == [(NAME, "B", ("errors",))] * 10  # the guardrails see each
    opened.now += 5
    assert (opened.serve(user)[0], opened.serve(user)[0]) == ("A", "A")
    assert [variant for variant, _ in opened.variants.asked].count("B") == 4  # one probe
    opened.variants.modes["B"] = "ok"
    opened.now += 5
    assert (opened.serve(user)[0], opened.serve(user)[0]) == ("B", "B")
    assert opened.told.asked[-2:] == [(NAME, "B", ())] * 2


def test_nobody_enrols_while_a_variant_is_broken_not_even_with_the_other(opened: Api) -> None:
    opened.variants.modes["B"] = "broken"
    for user in opened.given_to("B")[:3]:
        opened.serve(user)
    champions = opened.given_to("A")
    assert [opened.serve(user)[1].experiment for user in champions] == [""] * len(champions)
    assert not [user for user in USERS if opened.exposure(user)]
    opened.variants.modes["B"] = "ok"
    opened.now += 5
    opened.serve(opened.given_to("B")[0])  # the probe
    assert opened.serve(champions[0])[1].experiment == NAME


def test_a_champion_that_fails_is_answered_for_by_a_challenger_with_traffic(opened: Api) -> None:
    opened.variants.modes["A"] = "down"
    user = opened.given_to("A")[0]
    assert opened.serve(user)[0] == "B"
    assert opened.told.asked == [(NAME, "A", ("errors",))]
    assert opened.exposure(user) is None


def test_where_both_variants_fail_popularity_answers_and_nobody_enrols(opened: Api) -> None:
    opened.variants.modes = {"A": "down", "B": "broken"}
    for user in USERS:
        status, body = opened("/recommendations", user_id=user, limit=5)
        assert (status, body["level"], body["variant"], len(body["items"])) == (200, "popular", None, 5)
        assert verify(body["recommendation_id"], [KEY]).experiment == ""
    assert not [user for user in USERS if opened.exposure(user)]
    assert len(opened.variants.asked) <= 6
    assert {faults for _, _, faults in opened.told.asked} == {("errors",)}


def test_a_challenger_that_refuses_what_the_champion_answers_is_at_fault_itself(opened: Api) -> None:
    user = opened.given_to("B")[0]
    opened.variants.modes["B"] = "refusing"
    status, body = opened("/recommendations", user_id=user, genre="comedy")
    assert (status, body["variant"]) == (200, "A")
    assert opened.told.asked == [(NAME, "B", ("errors",))]
    assert opened.told.failed[0][1].startswith("refused a request that A answers")
    status, body = opened("/recommendations", user_id=user, genre="comdy")
    assert (status, body["parameter"]) == (400, "genre")
    assert opened.told.asked[-1] == (NAME, "B", ())
    opened.variants.modes["A"] = "down"
    assert opened("/recommendations", user_id=user, genre="comdy")[0] == 400
    assert not opened.exposure(user)


def test_an_empty_answer_and_a_slow_one_count_against_the_variant_that_gave_them(opened: Api) -> None:
    opened.variants.modes["B"] = "empty"
    user = opened.given_to("B")[0]
    ticks = iter([0.0, 1.5, 2.0, 3.0])
    opened.service().serving.variants.timer = lambda: next(ticks)
    assert opened.serve(user) and opened.serve(user)
    assert opened.told.asked == [(NAME, "B", ("slow", "empty")), (NAME, "B", ("empty",))]
    assert opened.exposure(user) is not None  # an empty answer is an answer: leaving it out would hide the harm


@pytest.mark.parametrize("mode", ["broken", "gone", "refusing", "empty"])
def test_a_broken_challenger_at_33_requests_a_minute_is_rolled_back_by_the_fourth_look(opened: Api, mode: str) -> None:
    """From what users are served to the guardrails' decision; and every one of them gets a model's answer."""
    terms = preset("default")
    state = new_state(terms)
    users = [opened.given_to("A")[:10], opened.given_to("B")[:10]]
    opened.variants.modes["B"] = mode
    for minute in range(4):
        opened.told.asked.clear()
        for number in range(66):
            opened.now += 60 / 66
            user = users[number % 2][number // 2 % 10]
            status, body = opened("/recommendations", user_id=user)
            assert (status, body["level"]) == (200, "model")
        looked = check_minute(state, counted(opened, minute), terms)
        if looked.verdict.ends:
            assert looked.verdict.decision == "roll_back"
            return
        state = looked.state
    pytest.fail(f"not rolled back: {looked.verdict.reason}")


def counted(api: Api, minute: int) -> Minute:
    """A minute's metrics, as shift_traffic reads them."""
    given = {variant: [faults for _, own, faults in api.told.asked if own == variant] for variant in ("A", "B")}
    bad = {
        kind: (sum(kind in each for each in given["A"]), sum(kind in each for each in given["B"]))
        for kind in ("errors", "slow", "empty")
    }
    assert (len(given["A"]), len(given["B"])) == (33, 33)
    return Minute(minute, (33, 33), bad | {"slow": (0, 0)})  # without the latency, which depends on this machine
