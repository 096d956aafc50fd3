"""The looks: the bound keeps the error rate that was spent, whatever informations the run had."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from usher.experiments.stats.boundary import Look, conditional_power, look_bounds
from usher.experiments.stats.numerics import Floats
from usher.experiments.stats.presets import PRESETS

NONE: Floats = np.empty((1, 0))


def one(value: float) -> Floats:
    return np.array([value])


def test_a_first_look_is_the_plain_normal_quantile() -> None:
    bounds = look_bounds(Look(NONE, NONE, one(400.0), one(5000.0), 0.01, 0.031))
    assert bounds.now[0] / 20 == pytest.approx(norm.isf(0.01), abs=2e-3)


def test_a_second_look_agrees_with_the_bivariate_normal() -> None:
    first = norm.isf(0.01) * math.sqrt(300)
    bounds = look_bounds(Look(np.array([[300.0]]), np.array([[first]]), one(1000.0), one(1000.0), 0.031, 0.031))
    second = bounds.now[0]
    law = multivariate_normal([0, 0], [[300, 300], [300, 1000]])
    assert 1 - law.cdf([first, second]) == pytest.approx(0.031, abs=1e-4)


def test_the_textbooks_bounds_of_five_equal_looks_are_found() -> None:
    """Pocock 1977, one-sided 2.5 %, five looks: 2.413 at each. Its own spending, by simulation-free recursion."""
    informations = 1000.0 * np.arange(1, 6) / 5
    pocock = np.full(5, 2.413) * np.sqrt(informations)
    spent = 0.0
    for number in range(5):
        past = informations[None, :number], pocock[None, :number]
        low, high = spent, 0.03
        for _ in range(30):  # the alpha whose bound is Pocock's is what Pocock spends by this look
            middle = (low + high) / 2
            bound = look_bounds(Look(*past, one(informations[number]), one(1000.0), middle, middle)).now[0]
            low, high = (middle, high) if bound > pocock[number] else (low, middle)
        spent = low
    assert spent == pytest.approx(0.025, abs=2e-4)


def test_a_look_that_was_skipped_counts_for_nothing() -> None:
    skipped = look_bounds(Look(np.array([[np.nan]]), np.array([[np.nan]]), one(1000.0), one(2000.0), 0.01, 0.031))
    fresh = look_bounds(Look(NONE, NONE, one(1000.0), one(2000.0), 0.01, 0.031))
    assert skipped.now == pytest.approx(fresh.now)


def test_a_look_without_alpha_left_has_no_bound() -> None:
    first = norm.isf(0.01) * math.sqrt(300)
    look = Look(np.array([[300.0]]), np.array([[first]]), one(300.0), one(1000.0), 0.01 - 1e-4, 0.031)
    assert np.isposinf(look_bounds(look).now[0])


def test_no_new_information_since_the_last_look_is_no_fault() -> None:
    first = norm.isf(0.01) * math.sqrt(300)
    bounds = look_bounds(Look(np.array([[300.0]]), np.array([[first]]), one(300.0), one(1000.0), 0.02, 0.031))
    assert bounds.now[0] == pytest.approx(norm.isf(0.02) * math.sqrt(300), rel=5e-3)


def test_the_grid_is_fine_enough() -> None:
    informations = np.array([[600.0, 1050.0, 1500.0, 1900.0]])
    bounds = np.array([[3.2, 2.95, 2.85, 2.75]]) * np.sqrt(informations)
    coarse = look_bounds(Look(informations, bounds, one(4300.0), one(15000.0), 0.006, 0.031))
    fine = look_bounds(Look(informations, bounds, one(4300.0), one(15000.0), 0.006, 0.031), points=16384)
    assert coarse.now / math.sqrt(4300) == pytest.approx(fine.now / math.sqrt(4300), abs=5e-3)
    assert coarse.end / math.sqrt(15000) == pytest.approx(fine.end / math.sqrt(15000), abs=5e-3)


def test_paths_that_follow_the_bounds_cross_as_often_as_was_spent() -> None:
    preset = PRESETS["default"]
    hours = np.array(preset.looks)
    informations = 45 * hours * np.linspace(0.7, 1.0, len(hours))
    past: tuple[list[float], list[float]] = ([], [])
    for hour, information in zip(hours, informations, strict=True):
        arrays = np.array(past[0])[None], np.array(past[1])[None]
        look = Look(*arrays, one(information), one(max(information, 45 * 336)), preset.spend(hour), preset.alpha_looks)
        past[0].append(information)
        past[1].append(float(look_bounds(look).now[0]))
    rng = np.random.default_rng(3)
    steps = rng.normal(size=(200_000, len(hours))) * np.sqrt(np.diff(informations, prepend=0))
    crossed = (np.cumsum(steps, axis=1) >= np.array(past[1])).any(axis=1).mean()
    assert crossed == pytest.approx(preset.alpha_looks, abs=4 * math.sqrt(0.031 / 200_000))


def test_many_experiments_get_the_bounds_they_would_get_alone() -> None:
    rng = np.random.default_rng(4)
    informations = np.sort(rng.uniform(100, 5000, (300, 3)), axis=1)
    bounds = np.array([3.0, 2.9]) * np.sqrt(informations[:, :2])
    look = Look(informations[:, :2], bounds, informations[:, 2], np.full(300, 9000.0), 0.012, 0.031)
    together = look_bounds(look)
    for row in (0, 31, 32, 299):
        alone = look_bounds(look.rows(slice(row, row + 1)))
        assert (together.now[row], together.end[row]) == pytest.approx((alone.now[0], alone.end[0]))


def test_conditional_power_is_zero_or_one_when_nothing_is_left() -> None:
    power = conditional_power(np.array([5.0, 3.0]), one(10.0), one(10.0), one(4.0), one(0.02))
    assert list(power) == [1.0, 0.0]


def test_conditional_power_follows_the_normal_law() -> None:
    power = conditional_power(one(40.0), one(5000.0), one(15000.0), one(250.0), one(0.022))
    assert power[0] == pytest.approx(norm.cdf((40 + 220 - 250) / 100))
