"""The challenger's share: never moved by its being ahead, never outside its bounds, less when it falls behind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.experiments.stats.numerics import Floats
from usher.experiments.stats.presets import PRESETS
from usher.experiments.stats.rules import Share, next_share, probability_better

DEFAULT = PRESETS["default"]


def share(stage: int, users: int, better: float) -> Share:
    return next_share(np.array([stage]), np.array([users]), np.array([better]), DEFAULT)


@given(
    st.sampled_from(sorted(PRESETS)),
    st.integers(0, 2),
    st.integers(0, 5000),
    st.lists(st.floats(0, 1e6), min_size=2, max_size=2),
    st.floats(0, 1e6),
)
def test_the_share_does_not_react_to_how_far_the_challenger_is_ahead(
    name: str, stage: int, users: int, scores: list[float], information: float
) -> None:
    """The invariant behind the looks' error rate (docs/shifting.md): ahead is ahead, by a little or by much."""
    preset = PRESETS[name]
    better = probability_better(np.array(scores), np.array([information] * 2), preset.prior_deviation)
    both = next_share(np.array([stage] * 2), np.array([users] * 2), better, preset)
    assert both.weight[0] == both.weight[1]
    assert both.stage[0] == both.stage[1]


@given(st.integers(0, 3), st.integers(0, 10**9), st.floats(0, 1), st.floats(0, 1))
def test_the_share_rises_with_the_evidence_and_stays_between_floor_and_cap(
    stage: int, users: int, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    less, more = share(stage, users, low), share(stage, users, high)
    assert 0 < less.weight[0] <= more.weight[0] <= DEFAULT.cap
    assert less.weight[0] >= min(DEFAULT.floor, DEFAULT.stages[0].cap)


def test_no_stage_opens_below_the_knee() -> None:
    assert share(0, 10_000, DEFAULT.knee - 1e-6).stage[0] == 0


def test_a_stage_opens_when_its_users_were_counted_and_not_one_sooner() -> None:
    assert share(0, 99, 0.5).weight[0] == 0.05
    assert share(0, 100, 0.5).weight[0] == 0.10


def test_a_large_epoch_opens_several_stages_at_once() -> None:
    opened = share(0, 100 + 150 + 300, 0.5)
    assert (opened.stage[0], opened.users[0], opened.weight[0]) == (3, 0, 0.5)


def test_a_challenger_that_falls_behind_loses_share_at_once_down_to_the_floor() -> None:
    assert share(3, 0, 0.15).weight[0] == pytest.approx(0.25)
    assert share(3, 0, 0.0).weight[0] == DEFAULT.floor


def test_without_evidence_the_challenger_is_as_likely_better_as_not() -> None:
    zero: Floats = np.zeros(1)
    assert probability_better(zero, zero, 0.1)[0] == 0.5
