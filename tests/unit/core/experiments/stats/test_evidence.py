"""The conditional likelihood: against SciPy's noncentral hypergeometric, brute force, and its properties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom, nchypergeom_fisher

from usher.experiments.stats.evidence import (
    THETA,
    Margins,
    confidence_sequence,
    cumulant_bound,
    lift_of,
    log_e_above,
    log_e_below,
    stratum_evidence,
)
from usher.experiments.stats.numerics import Floats, Ints
from usher.experiments.stats.presets import index_of


def pair(champion: int, challenger: int) -> Ints:
    return np.array([[champion, challenger]], dtype=np.int64)


def cumulant_by_sum(a: int, b: int, c: int) -> Floats:
    """log E₀ exp(θX) over the whole support, by SciPy's pmf."""
    x = np.arange(max(0, c - a), min(b, c) + 1)
    logs = hypergeom(a + b, b, c).logpmf(x)[:, None] + x[:, None] * THETA
    result: Floats = np.logaddexp.reduce(logs, axis=0)
    return result


@pytest.mark.parametrize(
    ("a", "b"), [(0, 5), (5, 0), (0, 0)], ids=["no champion's users", "no challenger's users", "no users"]
)
def test_a_stratum_with_users_of_one_role_only_says_nothing(a: int, b: int) -> None:
    evidence = stratum_evidence(pair(a, b), pair(a // 2, b // 2))
    assert not evidence.log_likelihood.any()
    assert evidence.score[0] == evidence.information[0] == 0


@pytest.mark.parametrize("converted", [(0, 0), (40, 60)], ids=["none", "all"])
def test_a_stratum_in_which_no_user_or_every_user_converted_adds_no_evidence(converted: tuple[int, int]) -> None:
    evidence = stratum_evidence(pair(40, 60), pair(*converted))
    assert not evidence.log_likelihood.any()
    assert evidence.information[0] == 0


@pytest.mark.parametrize(
    ("a", "b", "c"), [(1800, 200, 200), (1000, 1000, 190), (50, 5, 7), (3, 2, 4), (1, 1, 1), (1900, 100, 1990)]
)
def test_the_likelihood_is_fishers_noncentral_hypergeometric(a: int, b: int, c: int) -> None:
    low, high = max(0, c - a), min(b, c)
    for x in {low, high, round(c * b / (a + b))}:
        ours = stratum_evidence(pair(a, b), pair(c - x, x)).log_likelihood[0]
        for theta in (-0.33, -0.1, 0.02, 0.27, 0.5, 1.1):
            with_effect = nchypergeom_fisher(a + b, b, c, math.exp(theta)).logpmf(x)
            if np.isfinite(with_effect):  # SciPy's own range ends earlier than ours in the far tail
                expected = with_effect - hypergeom(a + b, b, c).logpmf(x)
                assert ours[index_of(theta)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("a", "b", "c"), [(3, 4, 5), (6, 2, 3), (4, 4, 4)])
def test_small_strata_agree_with_counting_every_labelling(a: int, b: int, c: int) -> None:
    labellings = [sum(user < b for user in chosen) for chosen in itertools.combinations(range(a + b), c)]
    for x in set(labellings):
        ours = stratum_evidence(pair(a, b), pair(c - x, x)).log_likelihood[0]
        brute = x * THETA - np.log(np.mean(np.exp(np.outer(labellings, THETA)), axis=0))
        assert ours == pytest.approx(brute, abs=1e-9)


def test_large_strata_never_claim_more_than_the_exact_likelihood() -> None:
    a, b, c, x = 60_000, 40_000, 12_000, 4_900
    exact = x * THETA - cumulant_by_sum(a, b, c)
    ours = stratum_evidence(pair(a, b), pair(c - x, x)).log_likelihood[0]
    assert (ours <= exact + 1e-6).all()
    near = np.abs(THETA) * math.sqrt(c * 0.6 * 0.4 * 0.88) < 8
    assert near.sum() > 20
    assert ours[near] == pytest.approx(exact[near], abs=1e-6)


@given(a=st.integers(1, 300), b=st.integers(1, 300), data=st.data())
@settings(max_examples=60)
def test_the_bound_lies_above_the_exact_cumulant(a: int, b: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(1, a + b - 1))
    rows = Margins(*(np.array([float(value)]) for value in (a, b, c, 0)))
    assert (cumulant_bound(rows)[0] >= cumulant_by_sum(a, b, c) - 1e-9).all()


@given(a=st.integers(0, 10**8), b=st.integers(0, 10**8), data=st.data())
@settings(max_examples=40)
def test_no_counts_give_nan_and_none_gives_an_infinite_score(a: int, b: int, data: st.DataObject) -> None:
    champion, challenger = data.draw(st.integers(0, a)), data.draw(st.integers(0, b))
    evidence = stratum_evidence(pair(a, b), pair(champion, challenger))
    assert np.isfinite(evidence.log_likelihood).all()
    assert np.isfinite([*evidence.score, *evidence.information]).all()
    assert evidence.information[0] >= 0
    assert evidence.log_likelihood[0, index_of(0.0)] == pytest.approx(0, abs=1e-6)


@given(a=st.integers(1, 400), b=st.integers(1, 400), data=st.data())
@settings(max_examples=60)
def test_one_more_conversion_of_the_challenger_is_more_evidence_for_it(a: int, b: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(1, a + b - 1))
    low, high = max(0, c - a), min(b, c)
    x = np.arange(low, high + 1)
    exposed = np.tile(pair(a, b), (len(x), 1))
    evidence = stratum_evidence(exposed, np.stack([c - x, x], axis=1))
    assert (np.diff(log_e_above(evidence.log_likelihood)) > -1e-12).all()
    assert (np.diff(log_e_below(evidence.log_likelihood)) < 1e-12).all()


def test_the_e_value_has_mean_one_when_arms_do_not_matter() -> None:
    """Over the exact law of one stratum, not over a sample of it."""
    a, b, c = 40, 25, 12
    x = np.arange(0, 13)
    evidence = stratum_evidence(np.tile(pair(a, b), (13, 1)), np.stack([c - x, x], axis=1))
    probabilities = hypergeom(a + b, b, c).pmf(x)
    for log_e in (log_e_above(evidence.log_likelihood), log_e_below(evidence.log_likelihood)):
        assert probabilities @ np.exp(log_e) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("theta", [-0.27, -0.05, 0.0])
def test_the_mean_of_the_e_value_is_at_most_one_for_every_effect_of_the_null(theta: float) -> None:
    a, b, c = 40, 25, 12
    x = np.arange(0, 13)
    evidence = stratum_evidence(np.tile(pair(a, b), (13, 1)), np.stack([c - x, x], axis=1))
    probabilities = nchypergeom_fisher(a + b, b, c, math.exp(theta)).pmf(x)
    assert probabilities @ np.exp(log_e_above(evidence.log_likelihood)) <= 1 + 1e-9


def test_experiments_do_not_influence_each_other() -> None:
    rng = np.random.default_rng(5)
    exposed = rng.integers(0, 3000, (50, 2))
    converted = rng.binomial(exposed, 0.2)
    together = stratum_evidence(exposed, converted)
    for row in range(50):
        alone = stratum_evidence(exposed[row : row + 1], converted[row : row + 1])
        assert together.log_likelihood[row] == pytest.approx(alone.log_likelihood[0], abs=1e-9)


def test_the_confidence_sequence_is_unbounded_at_first_and_then_closes_on_the_truth() -> None:
    low, high = confidence_sequence(np.zeros((1, len(THETA))))
    assert np.isneginf(low[0])
    assert np.isposinf(high[0])
    evidence = stratum_evidence(pair(100_000, 100_000), pair(10_000, 10_900))
    low, high = confidence_sequence(evidence.log_likelihood)
    assert 0 < low[0] < math.log(0.109 / 0.891 * 9) < high[0] < 0.2


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.9])
def test_a_lift_is_the_change_of_the_rate_that_the_odds_ratio_means(rate: float) -> None:
    theta = math.log((rate * 1.05 / (1 - rate * 1.05)) / (rate / (1 - rate)))
    assert float(lift_of(np.array([theta]), rate)[0]) == pytest.approx(0.05)
    assert lift_of(np.array([-np.inf, np.inf]), rate) == pytest.approx([-1, 1 / rate - 1])
