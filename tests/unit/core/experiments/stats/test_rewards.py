"""Rewards between 0 and 1, and rating errors on the same event: their e-processes are valid and find what is there."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.experiments.stats import labels, paired
from usher.experiments.stats.errors import CountError


def test_the_label_e_value_has_mean_at_most_one_over_every_assignment() -> None:
    rewards = np.array([0.0, 0.0, 0.1, 0.4, 0.5, 0.9, 1.0, 1.0])
    weight = 0.3
    means = np.zeros(len(labels.LAMBDA))
    for chosen in itertools.product([0, 1], repeat=len(rewards)):
        z = np.array(chosen)
        exposed = np.array([[(1 - z).sum(), z.sum()]], dtype=np.float64)
        sums = np.array([[(1 - z) @ rewards, z @ rewards]])
        squares = np.array([[(1 - z) @ rewards**2, z @ rewards**2]])
        evidence = labels.label_evidence(exposed, sums, squares, np.array([weight]))
        means += weight ** z.sum() * (1 - weight) ** (1 - z).sum() * np.exp(evidence.above[0])
    assert (means <= 1 + 1e-9).all()


def test_a_stratum_without_users_or_without_spread_says_nothing() -> None:
    for exposed, sums in (((0.0, 0.0), (0.0, 0.0)), ((10.0, 10.0), (10.0, 10.0))):
        evidence = labels.label_evidence(np.array([exposed]), np.array([sums]), np.array([sums]), np.array([0.5]))
        assert evidence.information[0] == 0
        assert evidence.above == pytest.approx(np.zeros((1, 12)))


def test_better_rewards_are_found_and_worse_ones_too() -> None:
    exposed = np.array([[20_000.0, 20_000.0]])
    sums, squares = np.array([[2000.0, 2300.0]]), np.array([[900.0, 1000.0]])
    up = labels.label_evidence(exposed, sums, squares, np.array([0.5]))
    assert labels.log_e(up.above)[0] > 3
    assert labels.log_e(up.below)[0] < 0
    down = labels.label_evidence(exposed, sums[:, ::-1], squares[:, ::-1], np.array([0.5]))
    assert down.below == pytest.approx(up.above)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(CountError, match="not a number"):
        paired.error_gain(np.array([4.0]), np.array([np.nan]), np.array([4.0]))


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(CountError, match="they must be as many"):
        paired.error_gain(np.array([4.0, 3.0]), np.array([4.0]), np.array([4.0]))


def test_a_smaller_error_is_found_and_a_larger_one_too() -> None:
    rng = np.random.default_rng(1)
    ratings = rng.integers(1, 6, 20_000).astype(float)
    noise = rng.normal(0, 0.9, 20_000)
    gain = paired.error_gain(ratings, ratings + noise, ratings + 0.97 * noise)
    assert paired.log_e_better(gain) > np.log(20)
    assert paired.log_e_worse(gain) < 0
    worse = paired.error_gain(ratings, ratings + 0.97 * noise, ratings + noise)
    assert paired.log_e_worse(worse) == pytest.approx(paired.log_e_better(gain))


def test_batches_of_events_add_up() -> None:
    rng = np.random.default_rng(2)
    ratings, one, other = rng.uniform(0, 6, (3, 1000))
    whole = paired.error_gain(ratings, one, other)
    parts = [paired.error_gain(ratings[part], one[part], other[part]) for part in (slice(0, 400), slice(400, None))]
    assert parts[0].plus(parts[1]) == pytest.approx(whole)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_the_paired_e_value_has_mean_at_most_one_over_every_sign(gains: list[float]) -> None:
    total = 0.0
    for signs in itertools.product([-1, 1], repeat=len(gains)):
        d = np.array(gains) * np.array(signs)
        total += np.exp(paired.log_e_better(paired.ErrorGain(len(d), float(d.sum()), float((d**2).sum()))))
    assert total / 2 ** len(gains) <= 1 + 1e-9
