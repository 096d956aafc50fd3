"""What a tuning job tries: within the ranges, on their scales, never the same twice while there is something new."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from twin.sagemaker.errors import Refused
from twin.sagemaker.search import Range, Search, ranges_of, seed_of, should_stop_early


def test_automatic_ranges_are_refused() -> None:
    with pytest.raises(Refused, match="AutoParameters"):
        ranges_of({"AutoParameters": [{"Name": "x", "ValueHint": "1"}]})


@pytest.mark.parametrize("low", ["nan", "inf", "-inf", "", "1e400"])
def test_a_bound_that_is_no_number_is_refused(low: str) -> None:
    with pytest.raises(Refused, match="range of x"):
        ranges_of({"ContinuousParameterRanges": [{"Name": "x", "MinValue": low, "MaxValue": "1"}]})


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_a_small_space_is_tried_whole_before_anything_is_repeated(strategy: str) -> None:
    search = Search(strategy, [Range("k", 1, 3, integer=True)], maximize=True, seed=1)
    tried = []
    for _ in range(4):
        proposal = search.propose()
        search.learn(proposal, float(proposal.tuned["k"]))
        tried.append(proposal.tuned["k"])
    assert set(tried[:3]) == {"1", "2", "3"}
    assert tried[3] in tried[:3]


def test_a_trial_without_objective_is_no_obstacle() -> None:
    search = Search("Bayesian", [Range("x", 0, 1)], maximize=False, seed=1)
    for value in (None, 0.5, None, 0.2, 0.1):
        search.learn(search.propose(), value)
    assert 0 <= float(search.propose().tuned["x"]) <= 1


def test_the_bayesian_strategy_comes_closer_than_chance() -> None:
    def best(strategy: str) -> float:
        found = []
        for seed in range(5):
            search = Search(strategy, [Range("x", 0, 1), Range("y", 0, 1)], maximize=False, seed=seed)
            values = []
            for _ in range(40):
                proposal = search.propose()
                x, y = (float(proposal.tuned[name]) for name in "xy")
                values.append((x - 0.3) ** 2 + (y - 0.8) ** 2)
                search.learn(proposal, values[-1])
            found.append(min(values))
        return sum(found)

    assert best("Bayesian") < best("Random")


@settings(max_examples=50)
@given(
    low=some.floats(1e-6, 0.4),
    width=some.floats(1e-3, 0.5),
    scale=some.sampled_from(["Auto", "Linear", "Logarithmic"]),
    seed=some.integers(0, 1000),
)
def test_every_proposal_lies_within_its_range(low: float, width: float, scale: str, seed: int) -> None:
    search = Search("Random", [Range("x", low, low + width, scale=scale)], maximize=True, seed=seed)
    assert low <= float(search.propose().tuned["x"]) <= low + width


def test_a_logarithmic_range_is_searched_by_magnitude() -> None:
    def share_of_small_values(scale: str) -> float:
        search = Search("Random", [Range("x", 1e-4, 1, scale=scale)], maximize=True, seed=3)
        return sum(float(search.propose().tuned["x"]) < 0.01 for _ in range(200)) / 200

    assert share_of_small_values("Linear") < 0.05
    assert 0.4 < share_of_small_values("Logarithmic") < 0.6


def test_integers_are_whole_and_categories_are_themselves() -> None:
    search = Search("Random", [Range("k", 2, 64, integer=True), Range("c", choices=("a", "b"))], maximize=True, seed=3)
    tuned = search.propose().tuned
    assert math.isclose(int(tuned["k"]), float(tuned["k"]))
    assert tuned["c"] in ("a", "b")


def test_a_seed_is_the_one_given_or_the_names() -> None:
    assert seed_of("one", 7) == seed_of("two", 7) == 7
    assert seed_of("one", None) == seed_of("one", None) != seed_of("two", None)


# ── early stopping ───────────────────────────────────────────────────────────────────────────────────────────────────

FINISHED = [[0.1, 0.2, 0.3], [0.2, 0.3, 0.4], [0.3, 0.4, 0.5]]  # running means after two epochs: 0.15, 0.25, 0.35


@pytest.mark.parametrize(
    ("series", "finished", "maximize", "stops"),
    [
        ([], FINISHED, True, False),
        ([0.1, 0.2], FINISHED[:2], True, False),  # too few to compare with
        ([0.1, 0.24], FINISHED, True, True),
        ([0.1, 0.26], FINISHED, True, False),
        ([0.1, 0.24], FINISHED, False, False),
        ([0.1, 0.26], FINISHED, False, True),
        ([0.0, 0.0, 0.0], FINISHED, True, False),  # its last epoch: it is about to write its model
    ],
)
def test_a_trial_below_the_median_of_running_means_stops_early(
    series: list[float], finished: list[list[float]], maximize: bool, stops: bool
) -> None:
    assert should_stop_early(series, finished, maximize=maximize) is stops
