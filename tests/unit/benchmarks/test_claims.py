"""The claims about experiments hold in simulated worlds; a few runs here, all of them in the slow tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.claims import CLAIMS, Bound, Claim, Faults, first_alarms
from cli.simulation.monte_carlo import Results
from cli.simulation.world import World
from usher.experiments.stats.presets import PRESETS

DEFAULT = PRESETS["default"]
#: Runs of the quick set: enough to catch a rule that is broken, some 15 s CPU in all.
QUICK = {
    "A = B": 400,
    "A = B, daily cycle ±50 %": 150,
    "A = B, conversions late (24 h window)": 100,
    "A = B, epochs of 24 hours": 600,
    "A = B, 200 users an hour": 200,
    "A = B, bots in one epoch of ten": 60,
    "A = B, heavy-tailed traffic and rates": 60,
    "B +2 %": 150,
    "B +5 %": 300,
    "B +10 %": 400,
    "B −5 %": 400,
    "B −20 %": 1500,
    "B +10 % wears off to −3 %, cautious": 60,
    "B loses 5 % of its exposures": 100,
}


def check(claim: Claim, results: Results) -> None:
    missed = [bound.text(results) for bound in claim.bounds if not bound.holds(results)]
    assert not missed, f"{claim.name}, {len(results.rule)} runs: {'; '.join(missed)}"


def by_name(name: str) -> Claim:
    return next(claim for claim in CLAIMS if claim.name == name)


def test_a_claim_that_does_not_hold_fails() -> None:
    claim = by_name("B +10 %")
    results = claim.simulate(seed=1, runs=100)
    promoted = claim.bounds[0].measure
    assert not Bound(promoted, 0.035).holds(results)
    assert not Bound(promoted, 1.0, at_most=False).holds(by_name("A = B").simulate(seed=1, runs=20))


@pytest.mark.parametrize("name", QUICK)
def test_a_claim_holds_in_a_few_runs(name: str) -> None:
    claim = by_name(name)
    check(claim, claim.simulate(seed=20_240_601, runs=QUICK[name]))


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_holds_in_all_its_runs(claim: Claim) -> None:
    check(claim, claim.simulate(seed=7))


def test_the_same_seed_gives_the_same_results() -> None:
    one, other = (by_name("B +5 %").simulate(seed=3, runs=50) for _ in range(2))
    assert np.array_equal(one.rule, other.rule)
    assert np.array_equal(one.lost, other.lost)


def test_a_challenger_with_lost_exposures_is_not_promoted_even_with_a_lift() -> None:
    claim = replace(by_name("B loses 5 % of its exposures"), world=World(lift=0.05, lost_challenger=0.1))
    results = claim.simulate(seed=5, runs=50)
    assert results.promoted == 0


@pytest.mark.parametrize(("weight", "at_most_minutes"), [(0.05, 4), (0.5, 2)])
def test_a_challenger_with_only_errors_is_stopped_in_a_few_ticks(weight: float, at_most_minutes: int) -> None:
    alarms = first_alarms(Faults(33.0, weight, challenger=1.0), DEFAULT, 500, seed=1)
    assert (alarms > 0).all()
    assert np.median(alarms) <= at_most_minutes


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_an_outage_of_both_variants_stops_no_experiment(share: float) -> None:
    faults = Faults(33.0, 0.5, champion=share, challenger=share, breaks_at=60, minutes=120)
    assert (first_alarms(faults, DEFAULT, 500, seed=2) < 0).all()


def test_a_fault_after_a_healthy_day_is_detected_nearly_as_fast() -> None:
    alarms = first_alarms(Faults(33.0, 0.05, challenger=1.0, breaks_at=1440), DEFAULT, 100, seed=3)
    assert (alarms > 0).all()
    assert np.median(alarms) <= 6


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "runs"), [(0.05, 100), (0.5, 500)])
def test_a_healthy_challenger_is_not_stopped_in_five_hundred_runs_of_fourteen_days(weight: float, runs: int) -> None:
    assert (first_alarms(Faults(33.0, weight, minutes=14 * 1440), DEFAULT, runs, seed=4) < 0).all()
