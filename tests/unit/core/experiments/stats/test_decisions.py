"""One experiment's decisions: their order, their reasons, what freezes and what ends, and that nothing crashes them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usher.experiments.stats import state as states
from usher.experiments.stats.decisions import Minute, Outcome, Verdict, check_minute, close_epoch
from usher.experiments.stats.presets import PRESETS, Preset
from usher.experiments.stats.reasons import Fact, reason_of
from usher.experiments.stats.rules import Rule
from usher.experiments.stats.state import State, new_state
from usher.experiments.stats.strata import CountError, RoleCount, Stratum

DEFAULT = PRESETS["default"]


def stratum(
    version: int, weight: float, users: int = 2000, rates: tuple[float, float] = (0.1, 0.1), lost: float = 0.0
) -> Stratum:
    """Users split exactly by the weight, converting exactly at the rates (champion, challenger)."""
    challenger = round(users * weight)
    exposed = (users - challenger, round(challenger * (1 - lost)))
    roles = [RoleCount(n, round(n * rate), n * rate, n * rate) for n, rate in zip(exposed, rates, strict=True)]
    return Stratum(version, weight, *roles)


def run(
    rates: tuple[float, float],
    hours: int,
    *,
    preset: Preset = DEFAULT,
    users: int = 2000,
    lost: float = 0.0,
    held: bool = False,
) -> tuple[State, list[Outcome]]:
    """Hourly epochs until the experiment ends or `hours` are over."""
    state, outcomes = new_state(preset), []
    for hour in range(1, hours + 1):
        counted = stratum(hour, float(state.weight[0]), users, rates, lost)
        outcome = close_epoch(state, [counted], float(hour), preset, held=held)
        outcomes.append(outcome)
        state = outcome.state
        if outcome.verdict.ends:
            break
    return state, outcomes


def last(outcomes: list[Outcome]) -> Verdict:
    return outcomes[-1].verdict


@pytest.mark.parametrize("hours", [math.nan, math.inf, -1.0])
def test_hours_that_are_negative_or_not_finite_are_refused(hours: float) -> None:
    with pytest.raises(CountError, match="cannot close"):
        close_epoch(new_state(DEFAULT), [], hours, DEFAULT)


def test_a_worse_challenger_is_retired_and_the_reason_names_the_evidence() -> None:
    _, outcomes = run((0.10, 0.08), 100)
    decision = last(outcomes)
    assert (decision.decision, decision.weight) == ("retire", 0.0)
    assert decision.reason.startswith("worse: e-value ")
    assert decision.numbers["log_e_harm"] >= math.log(20)
    assert len(outcomes) < 24


def test_a_broken_challenger_is_rolled_back_at_the_minute_and_not_at_the_epoch() -> None:
    state = new_state(DEFAULT)
    for minute in range(4):
        outcome = check_minute(state, Minute(minute, (31, 2), {"errors": (0, 2)}), DEFAULT)
        state = outcome.state
        if outcome.verdict.ends:
            break
    assert outcome.verdict.decision == "roll_back"
    assert outcome.verdict.reason.startswith("the challenger's server errors exceed")


@pytest.mark.parametrize(
    ("kind", "words"), [("slow", "answers over the latency objective"), ("empty", "empty answers")]
)
def test_each_guardrail_stops_a_challenger_and_says_which_it_was(kind: str, words: str) -> None:
    state = new_state(DEFAULT)
    for minute in range(30):
        outcome = check_minute(state, Minute(minute, (17, 16), {kind: (0, 14)}), DEFAULT)
        state = outcome.state
    assert outcome.verdict.decision == "roll_back"
    assert words in outcome.verdict.reason


def test_an_outage_of_both_freezes_and_passes() -> None:
    state = new_state(DEFAULT)
    decisions = []
    for minute in range(200):
        outage = 50 <= minute < 60
        outcome = check_minute(state, Minute(minute, (30, 3), {"errors": (30, 3) if outage else (0, 0)}), DEFAULT)
        decisions.append(outcome.verdict.decision)
        state = outcome.state
    assert set(decisions) == {"continue", "freeze"}
    assert decisions[60] == "freeze"
    assert decisions[-1] == "continue"
    assert state.weight[0] == 0.05


def test_a_promoted_challenger_that_breaks_is_rolled_back_by_the_next_minutes() -> None:
    state, outcomes = run((0.10, 0.115), 400)
    assert last(outcomes).decision == "promote"
    decisions = []
    for minute in range(24 * 60, 24 * 60 + 4):
        outcome = check_minute(state, Minute(minute, (0, 33), {"errors": (0, 33)}), DEFAULT)
        decisions.append((outcome.verdict.decision, outcome.verdict.weight))
        state = outcome.state
    assert decisions[-1] == ("roll_back", 0.0)
    first = decisions.index(("roll_back", 0.0))
    assert first <= 1
    assert set(decisions[first:]) == {("roll_back", 0.0)}


def test_freezing_keeps_the_weight_where_rolling_back_takes_it() -> None:
    state, _ = run((0.1, 0.1), 5)
    before = float(state.weight[0])
    frozen = close_epoch(state, [stratum(6, before)], 6.0, DEFAULT, held=True).verdict
    stopped = check_minute(state, Minute(0, (1000, 1000), {"errors": (0, 500)}), DEFAULT).verdict
    assert (frozen.decision, frozen.weight, frozen.ends) == ("freeze", before, False)
    assert (stopped.decision, stopped.weight, stopped.ends) == ("roll_back", 0.0, True)


def test_lost_exposures_freeze_the_weights_and_nothing_is_promoted() -> None:
    state, outcomes = run((0.10, 0.13), 400, lost=0.1)
    frozen = [outcome.verdict for outcome in outcomes if outcome.verdict.decision == "freeze"]
    assert "enrolments do not follow the weights" in frozen[0].reason
    assert not any(outcome.verdict.decision == "promote" for outcome in outcomes)
    assert last(outcomes).decision == "inconclusive"
    assert state.sample_ratio_broken[0]


def test_evidence_from_before_the_break_is_kept_and_that_from_after_is_not_counted() -> None:
    state, _ = run((0.1, 0.1), 20)
    first = close_epoch(state, [stratum(21, 0.5, 20_000, (0.1, 0.2), lost=0.2)], 21.0, DEFAULT)
    assert first.verdict.decision == "freeze"
    assert first.state.score[0] == state.score[0]
    assert first.uncounted[0].what == "its evidence"
    explained = states.explain_sample_ratio(first.state)
    after = close_epoch(explained, [stratum(22, 0.5)], 22.0, DEFAULT)
    assert after.verdict.decision == "continue"
    assert after.state.information[0] > state.information[0]


def test_a_better_challenger_is_promoted_at_a_look_and_not_before_the_minimum() -> None:
    _, outcomes = run((0.10, 0.115), 400)
    assert (last(outcomes).decision, last(outcomes).weight) == ("promote", 1.0)
    assert last(outcomes).numbers["hours"] == 24
    assert "lift +" in last(outcomes).reason


def test_a_promotion_at_a_look_states_the_bound_it_reached() -> None:
    _, outcomes = run((0.10, 0.105), 400)
    numbers = last(outcomes).numbers
    assert last(outcomes).decision == "promote"
    assert numbers["z"] >= numbers["bound"] > 1.9
    assert f"its bound {numbers['bound']:.2f}" in last(outcomes).reason


def test_an_equal_challenger_is_given_up_before_the_end() -> None:
    _, outcomes = run((0.10, 0.10), 400)
    assert last(outcomes).decision == "futile"
    assert last(outcomes).weight == 0.0
    assert 96 <= last(outcomes).numbers["hours"] < 336


def test_an_experiment_without_enough_users_ends_inconclusive_and_the_champion_stays() -> None:
    _, outcomes = run((0.10, 0.11), 400, users=4)
    assert (last(outcomes).decision, last(outcomes).weight, len(outcomes)) == ("inconclusive", 0.0, 336)


def test_an_experiment_without_any_user_ends_too() -> None:
    state = new_state(DEFAULT)
    outcome = close_epoch(state, [], 336.0, DEFAULT)
    assert outcome.verdict.decision == "inconclusive"


def test_a_frozen_experiment_ends_at_its_horizon() -> None:
    _, outcomes = run((0.10, 0.12), 400, held=True)
    assert {outcome.verdict.decision for outcome in outcomes[:-1]} == {"freeze"}
    assert (last(outcomes).decision, len(outcomes)) == ("inconclusive", 336)


def test_a_cautious_experiment_waits_a_week_also_when_the_evidence_is_overwhelming() -> None:
    _, outcomes = run((0.10, 0.13), 400, preset=PRESETS["cautious"])
    assert (last(outcomes).decision, last(outcomes).numbers["hours"]) == ("promote", 168)


def test_a_challenger_that_is_not_worse_by_the_margin_is_promoted_under_non_inferiority() -> None:
    preset = replace(DEFAULT, name="non-inferior", margin_theta=-0.05)
    _, outcomes = run((0.10, 0.10), 400, preset=preset)
    assert last(outcomes).decision == "promote"
    _, outcomes = run((0.10, 0.09), 400, preset=preset)
    assert last(outcomes).decision in ("retire", "futile")


def test_rewards_decide_where_the_preset_says_so() -> None:
    preset = replace(DEFAULT, name="reward", outcome="reward")
    _, outcomes = run((0.10, 0.11), 400, preset=preset)
    assert last(outcomes).decision == "promote"
    _, outcomes = run((0.10, 0.08), 400, preset=preset)
    assert last(outcomes).decision == "retire"


def test_a_clock_that_goes_back_does_not_move_the_hours() -> None:
    state, _ = run((0.1, 0.1), 30)
    outcome = close_epoch(state, [stratum(31, 0.5)], 3.0, DEFAULT)
    assert outcome.state.hours[0] == 30


def test_the_same_epoch_decided_twice_counts_its_strata_once() -> None:
    state, _ = run((0.1, 0.11), 10)
    once = close_epoch(state, [stratum(11, 0.5)], 11.0, DEFAULT)
    again = close_epoch(once.state, [stratum(11, 0.5)], 11.0, DEFAULT)
    assert again.state.score[0] == once.state.score[0]
    assert again.uncounted[0].what == "stratum 11"
    assert again.verdict.weight == once.verdict.weight


def test_a_look_is_made_once_though_its_epoch_is_decided_again() -> None:
    state, outcomes = run((0.1, 0.1), 24)
    assert "bound" in last(outcomes).numbers
    assert "bound" not in close_epoch(state, [], 24.0, DEFAULT).verdict.numbers


def test_strata_in_any_order_give_the_same_evidence() -> None:
    counted = [stratum(version, 0.5, 1000 + version, (0.1, 0.11)) for version in range(1, 9)]
    one = close_epoch(new_state(DEFAULT), counted, 8.0, DEFAULT).state
    other = close_epoch(new_state(DEFAULT), reversed(counted), 8.0, DEFAULT).state
    assert np.array_equal(one.log_likelihood, other.log_likelihood)


@pytest.mark.parametrize(
    ("minute", "reason"),
    [
        (Minute(5, (10, 10), {"errors": (11, 0)}), "champion: 11 errors in 10 requests"),
        (Minute(5, (10, 10), {"errors": (0, -1)}), "challenger: -1 errors in 10 requests"),
        (Minute(5, (-1, 10)), "champion: -1 requests"),
        (Minute(5, (10, 10**12)), "challenger: 1000000000000 requests"),
        (Minute(5, (10, 10), {"sad": (1, 1)}), "unknown guardrails sad"),
        (Minute(4, (10, 10)), "not after minute 4"),
    ],
)
def test_a_minute_that_cannot_be_true_is_not_counted(minute: Minute, reason: str) -> None:
    state = check_minute(new_state(DEFAULT), Minute(4, (10, 10)), DEFAULT).state
    outcome = check_minute(state, minute, DEFAULT)
    assert reason in outcome.uncounted[0].reason
    assert outcome.verdict.decision == "continue"
    assert np.array_equal(outcome.state.guard_absolute, state.guard_absolute)


counts = st.one_of(st.integers(-3, 50), st.integers(0, 10**9))


@st.composite
def any_stratum(draw: st.DrawFn) -> Stratum:
    roles = [RoleCount(draw(counts), draw(counts), draw(st.floats()), draw(st.floats())) for _ in range(2)]
    return Stratum(
        draw(st.integers(-5, 50)), draw(st.one_of(st.floats(), st.sampled_from([0.0, 0.05, 0.5, 1.0]))), *roles
    )


@given(
    st.sampled_from(sorted(PRESETS)),
    st.lists(st.tuples(st.lists(any_stratum(), max_size=3), st.floats(0, 600)), max_size=5),
)
@settings(max_examples=60)
def test_any_input_gives_a_finite_verdict_with_a_weight_between_0_and_1(
    name: str, closes: list[tuple[list[Stratum], float]]
) -> None:
    preset, state = PRESETS[name], new_state(PRESETS[name])
    for strata, hours in closes:
        outcome = close_epoch(state, strata, hours, preset)
        assert 0 <= outcome.verdict.weight <= 1
        assert outcome.verdict.reason
        assert all(math.isfinite(value) for value in outcome.verdict.numbers.values())
        assert np.isfinite(outcome.state.log_likelihood).all()
        state = outcome.state
        if outcome.verdict.ends:
            break


@given(st.integers(400, 3000), st.integers(20, 300), st.data())
@settings(max_examples=40)
def test_more_conversions_of_the_challenger_never_take_share_from_it(
    users: int, both: int, data: st.DataObject
) -> None:
    few, more = sorted(data.draw(st.tuples(st.integers(0, both // 2), st.integers(0, both // 2))))
    weights = []
    for conversions in (few, more):
        roles = [RoleCount(users, both - conversions), RoleCount(users, conversions)]
        outcome = close_epoch(new_state(DEFAULT), [Stratum(1, 0.5, *roles)], 1.0, DEFAULT)
        weights.append(outcome.verdict.weight)
    assert weights[0] <= weights[1]


def test_a_look_that_is_skipped_leaves_its_alpha_to_the_next() -> None:
    """Held at 24 h: the look of 36 h may spend what both were given, so its bound is lower."""
    _, plain = run((0.1, 0.1), 36)
    state, _ = run((0.1, 0.1), 23)
    for hour in range(24, 37):
        counted = stratum(hour, float(state.weight[0]))
        outcome = close_epoch(state, [counted], float(hour), DEFAULT, held=hour == 24)
        state = outcome.state
    assert np.isnan(state.look_information[0, 0])
    assert outcome.verdict.numbers["bound"] < last(plain).numbers["bound"]


@pytest.mark.parametrize(
    ("weights", "change"),
    [
        ((0.248, 0.252), ""),
        ((0.25, 0.25), ""),
        ((0.1, 0.25), "; the challenger's share changes from 10% to 25%"),
    ],
)
def test_a_reason_names_a_change_of_the_share_that_is_visible(weights: tuple[float, float], change: str) -> None:
    fact = Fact({}, DEFAULT, "errors", False)
    assert reason_of(Rule.CONTINUE, fact, weights) == f"no guardrail has failed{change}"
