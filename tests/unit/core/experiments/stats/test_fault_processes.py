"""Fault detection: sample ratio, guardrails, and the mixture over the start of a fault."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from usher.experiments.stats import change_point, guardrails, sample_ratio
from usher.experiments.stats.change_point import Started
from usher.experiments.stats.guardrails import Guardrails, RequestCounts
from usher.experiments.stats.numerics import Floats
from usher.experiments.stats.presets import PRESETS

LIMITS = np.array([0.01, 0.01, 0.05])
MINUTES = 14 * 1440
ALARM = math.log(1000)
#: The champion serves beside the challenger.
BESIDE = np.array([False])


def minute(requests: tuple[float, float], errors: tuple[float, float]) -> RequestCounts:
    """One minute of one experiment in which only errors occur."""
    bad = np.zeros((1, 3, 2))
    bad[0, 0] = errors
    return RequestCounts(np.array([requests]), bad)


def run(minutes: list[RequestCounts], start: int = 0) -> tuple[Guardrails, Floats]:
    rails = Guardrails.new(1, 3)
    for number, answers in enumerate(minutes, start):
        shares = [change_point.started(np.array([float(at)]), MINUTES) for at in (max(number - 1, 0), number)]
        rails = guardrails.advance(rails, answers, LIMITS, Started(*shares))
    return rails, change_point.started(np.array([float(len(minutes) - 1)]), MINUTES)


def test_a_challenger_with_only_errors_is_stopped_within_four_minutes_of_its_first_traffic() -> None:
    # 33 requests a minute, 5 % of them to the challenger: one to two a minute
    rails, started = run([minute((31, 2), (0, 2)), minute((32, 1), (0, 1)), minute((31, 2), (0, 2))])
    assert guardrails.log_e_challenger(rails, started, BESIDE)[0] >= ALARM


def test_a_challenger_that_fails_after_a_healthy_week_is_stopped_as_fast_as_an_early_one() -> None:
    quiet = [minute((17, 16), (0, 0))] * (7 * 1440)
    rails, started = run([*quiet, *[minute((17, 16), (0, 16))] * 2])
    assert guardrails.log_e_challenger(rails, started, BESIDE)[0] >= ALARM


def test_an_outage_of_both_variants_does_not_stop_the_challenger() -> None:
    outage = [minute((17, 16), (17, 16))] * 10
    rails, started = run([*[minute((17, 16), (0, 0))] * 100, *outage])
    assert guardrails.log_e_challenger(rails, started, BESIDE)[0] < ALARM
    assert guardrails.log_e_champion(rails, started)[0] >= ALARM


def test_a_promoted_challenger_that_fails_while_it_serves_alone_is_stopped() -> None:
    rails, started = run([*[minute((0, 33), (0, 0))] * 100, *[minute((0, 33), (0, 33))] * 2])
    assert guardrails.log_e_challenger(rails, started, np.array([True]))[0] >= ALARM
    assert guardrails.log_e_challenger(rails, started, BESIDE)[0] < ALARM


def test_an_outage_of_both_leaves_no_alarm_an_hour_after_the_recovery() -> None:
    outage, healthy = [minute((17, 16), (17, 16))] * 30, [minute((17, 16), (0, 0))] * 60
    rails, started = run([*healthy, *outage, *healthy])
    assert guardrails.log_e_champion(rails, started)[0] < ALARM
    assert guardrails.log_e_challenger(rails, started, BESIDE)[0] < ALARM


def test_minutes_without_requests_do_not_change_the_evidence() -> None:
    once, started = run([minute((0, 0), (0, 0))])
    often, later = run([minute((0, 0), (0, 0))] * 500)
    before, after = guardrails.log_e_champion(once, started)[0], guardrails.log_e_champion(often, later)[0]
    assert before == pytest.approx(0, abs=1e-9)
    assert after == pytest.approx(0, abs=1e-9)
    assert guardrails.log_e_challenger(often, later, BESIDE)[0] <= 0


@given(st.integers(0, 10**8), st.integers(0, 10**8), st.data())
def test_no_counts_make_the_guardrails_nan(champion: int, challenger: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(0, champion)), data.draw(st.integers(0, challenger))
    rails, started = run([minute((champion, challenger), errors)] * 3)
    assert not np.isnan(guardrails.log_e_challenger(rails, started, BESIDE)).any()
    assert not np.isnan(guardrails.log_e_champion(rails, started)).any()


@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_one_more_error_of_the_challenger_is_more_evidence_against_it(a: int, b: int, data: st.DataObject) -> None:
    errors, more = sorted(data.draw(st.tuples(st.integers(0, b), st.integers(0, b))))
    champions = data.draw(st.integers(0, a // 100))
    few, started = run([minute((a, b), (champions, errors))])
    many, _ = run([minute((a, b), (champions, more))])
    low, high = (guardrails.log_e_challenger(rails, started, BESIDE)[0] for rails in (few, many))
    assert low <= high + 1e-9


def test_the_guardrail_with_the_most_evidence_is_named() -> None:
    rails, _ = run([minute((31, 2), (0, 2))] * 3)
    assert guardrails.worst_kind(rails)[0] == 0


def test_limits_of_the_presets_cover_each_kind() -> None:
    assert all(set(preset.guardrail_limits) == {"errors", "slow", "empty"} for preset in PRESETS.values())


def test_the_mixture_over_the_start_is_an_e_process() -> None:
    """Exactly: over all paths of a fair coin, the mean stays one at every step."""
    log_increments = np.log([0.4, 1.6])
    values, probabilities = np.array([[change_point.INITIAL]]), np.array([1.0])
    for step in range(8):
        shares = [change_point.started(np.array([float(at)]), 6.0) for at in (step, step + 1)]
        values = np.concatenate(
            [change_point.advance(values, np.full(1, gain), Started(*shares)) for gain in log_increments]
        )
        probabilities = np.tile(probabilities / 2, 2)
        total = change_point.with_waiting(values[:, 0], shares[1])
        assert probabilities @ np.exp(total) == pytest.approx(1, abs=1e-12)


def test_lost_exposures_of_the_challenger_break_the_sample_ratio() -> None:
    exposed, weight = np.array([[20_000.0, 19_000.0]]), np.array([0.5])
    log_sum = np.full((1, len(sample_ratio.ETA)), change_point.INITIAL) + sample_ratio.increment(exposed, weight)
    assert sample_ratio.log_e(log_sum, np.array([0.5]))[0] > math.log(100)


@pytest.mark.parametrize(("weight", "exposed"), [(0.0, (5000.0, 0.0)), (1.0, (0.0, 5000.0)), (0.1, (4500.0, 500.0))])
def test_enrolments_that_follow_the_weights_are_not_evidence_of_a_mismatch(
    weight: float, exposed: tuple[float, float]
) -> None:
    log_sum = np.full((1, len(sample_ratio.ETA)), change_point.INITIAL)
    log_sum = log_sum + sample_ratio.increment(np.array([exposed]), np.array([weight]))
    assert sample_ratio.log_e(log_sum, np.array([0.5]))[0] <= 1e-9


def test_the_sample_ratio_e_value_has_mean_one_while_weights_move() -> None:
    for weight in (0.05, 0.25, 0.5):
        b = np.arange(0, 61.0)
        increments = sample_ratio.increment(np.stack([60 - b, b], axis=1), np.full(61, weight))
        assert binom(60, weight).pmf(b) @ np.exp(increments) == pytest.approx(np.ones(14), abs=1e-9)
