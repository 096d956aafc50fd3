"""Rewards between 0 and 1: the e-process is valid, and finds better and worse ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from usher.experiments.stats import bounded_rewards


def test_the_reward_e_value_has_mean_at_most_one_over_every_assignment() -> None:
    rewards = np.array([0.0, 0.0, 0.1, 0.4, 0.5, 0.9, 1.0, 1.0])
    weight = 0.3
    means = np.zeros(len(bounded_rewards.LAMBDA))
    for chosen in itertools.product([0, 1], repeat=len(rewards)):
        z = np.array(chosen)
        exposed = np.array([[(1 - z).sum(), z.sum()]], dtype=np.float64)
        sums = np.array([[(1 - z) @ rewards, z @ rewards]])
        squares = np.array([[(1 - z) @ rewards**2, z @ rewards**2]])
        evidence = bounded_rewards.reward_evidence(exposed, sums, squares, np.array([weight]))
        means += weight ** z.sum() * (1 - weight) ** (1 - z).sum() * np.exp(evidence.above[0])
    assert (means <= 1 + 1e-9).all()


def test_a_stratum_without_users_or_without_spread_adds_no_evidence() -> None:
    for exposed, sums in (((0.0, 0.0), (0.0, 0.0)), ((10.0, 10.0), (10.0, 10.0))):
        evidence = bounded_rewards.reward_evidence(
            np.array([exposed]), np.array([sums]), np.array([sums]), np.array([0.5])
        )
        assert evidence.information[0] == 0
        assert evidence.above == pytest.approx(np.zeros((1, 12)))


def test_better_rewards_are_found_and_worse_ones_too() -> None:
    exposed = np.array([[20_000.0, 20_000.0]])
    sums, squares = np.array([[2000.0, 2300.0]]), np.array([[900.0, 1000.0]])
    up = bounded_rewards.reward_evidence(exposed, sums, squares, np.array([0.5]))
    assert bounded_rewards.log_e(up.above)[0] > 3
    assert bounded_rewards.log_e(up.below)[0] < 0
    down = bounded_rewards.reward_evidence(exposed, sums[:, ::-1], squares[:, ::-1], np.array([0.5]))
    assert down.below == pytest.approx(up.above)
