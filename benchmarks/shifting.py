"""The comparison table of the README, side by side in one run, and every promise of docs/shifting.md with its figure.

    python benchmarks/shifting.py [--runs 2000] [--part table|claims|faults|paired|ablation] [--seed 1]

Each policy may promote an equal challenger in 5 % of runs by its own promise (ours: 3.4 %). 2,000 new users an hour,
10 % of whom convert, hourly epochs, 14 days at most.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from unittest.mock import patch

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one core, whatever the machine

import numpy as np

from benchmarks.claims import CLAIMS, Faults, first_alarms
from benchmarks.rival_policies import Rival, RivalResults, rivals, run_rival
from cli.simulation.monte_carlo import simulate_in_blocks
from cli.simulation.world import World
from usher.experiments.stats import changes, rules
from usher.experiments.stats.numerics import Floats, Ints
from usher.experiments.stats.paired import ErrorGain, log_e_better
from usher.experiments.stats.presets import PRESETS, Preset
from usher.experiments.stats.rules import PROMOTES, Rule
from usher.experiments.stats.weights import Share, next_share

CYCLE = 0.5


def outcome(policy: Rival | str, world: World, runs: int, seed: int) -> RivalResults:
    """The same figures for a rival and for a preset of ours."""
    if isinstance(policy, Rival):
        return run_rival(policy, world, runs, seed)
    ours = simulate_in_blocks(world, PRESETS[policy], runs, seed)
    verdict = np.where(np.isin(ours.rule, PROMOTES), 1, np.where(ours.rule == Rule.HORIZON, 0, -1))
    return RivalResults(verdict, ours.hours, ours.challenger_users, ours.lost)


COLUMNS: tuple[tuple[str, World, Callable[[RivalResults], str]], ...] = (
    ("A = B", World(), lambda got: f"{got.promoted:.1%}"),
    ("A = B, daily cycle", World(daily=CYCLE), lambda got: f"{got.promoted:.1%}"),
    ("B −5 %, daily cycle", World(lift=-0.05, daily=CYCLE), lambda got: f"{got.promoted:.1%}"),
    ("B +2 %", World(lift=0.02), lambda got: f"{got.promoted:.1%}"),
    ("B +5 %", World(lift=0.05), lambda got: f"{got.promoted:.1%} · {got.median_hours:.0f} h"),
    ("B +10 %", World(lift=0.10), lambda got: f"{got.promoted:.1%} · {got.median_hours:.0f} h"),
    (
        "B −20 %",
        World(lift=-0.20),
        lambda got: f"{got.lost.mean():.0f} lost · {got.challenger_users.mean():,.0f} users",
    ),
)


def table(runs: int, seed: int) -> Iterator[str]:
    """Promoted share, median hours to the promotion, and what a −20 % challenger costs."""
    yield "| policy | " + " | ".join(f"{name}" for name, _, _ in COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    policies: list[tuple[str, Rival | str]] = [(rival.name, rival) for rival in rivals()]
    policies += [("**Usher**, default", "default"), ("**Usher**, patient (21 days)", "patient")]
    for name, policy in policies:
        cells = [show(outcome(policy, world, runs, seed)) for _, world, show in COLUMNS]
        yield f"| {name} | " + " | ".join(cells) + " |"


def claims(runs: int | None, seed: int) -> Iterator[str]:
    """Every promise in its world: what was measured, and the bound."""
    yield "| scenario | runs | measured (bound) |"
    yield "|---|---|---|"
    for number, claim in enumerate(CLAIMS):
        got = claim.simulate(seed + 1000 * number, runs)
        missed = [bound for bound in claim.bounds if not bound.holds(got, errors=0)]
        mark = " **missed**" if any(not bound.holds(got) for bound in missed) else " (within error)" if missed else ""
        yield f"| {claim.name} | {len(got.rule):,} | {'; '.join(bound.text(got) for bound in claim.bounds)}{mark} |"


SETTINGS = ((33.0, 0.05), (33.0, 0.5), (330.0, 0.5))
BROKEN = (0.02, 0.05, 0.20, 1.0)


def faults(runs: int, seed: int) -> Iterator[str]:
    """Minutes until a challenger with so many errors is stopped, from its start and after three quiet days."""
    yield (
        "| requests a minute, share | from | mixture over the start | " + " | ".join(f"{q:.0%}" for q in BROKEN) + " |"
    )
    yield "|---" * (len(BROKEN) + 3) + "|"
    for requests, weight in SETTINGS:
        for breaks_at in (0, 3 * 1440):
            for mixture in (True, False) if breaks_at else (True,):
                cells = [
                    _minutes(Faults(requests, weight, challenger=q, breaks_at=breaks_at), runs, seed, mixture)
                    for q in BROKEN
                ]
                when = "day 4" if breaks_at else "the start"
                yield f"| {requests:g}, {weight:.0%} | {when} | {'yes' if mixture else 'no'} | {' | '.join(cells)} |"
    quiet = first_alarms(Faults(33.0, 0.5, minutes=14 * 1440), PRESETS["default"], 500, seed)
    yield ""
    yield f"False alarms in 500 runs of 14 days at 33 requests a minute and half of the traffic: {(quiet >= 0).sum()}"
    both = Faults(33.0, 0.5, champion=0.2, challenger=0.2, breaks_at=60, minutes=120)
    outage = first_alarms(both, PRESETS["default"], 500, seed)
    yield f"Challengers blamed for an outage of both (20 % errors for two hours), of 500: {(outage >= 0).sum()}"


def _minutes(world: Faults, runs: int, seed: int, mixture: bool) -> str:
    at_once = (changes.AT_ONCE, changes.INITIAL) if mixture else (1.0 - 1e-12, 0.0)  # the ablation: all starts at once
    with patch.multiple(changes, AT_ONCE=at_once[0], INITIAL=at_once[1]):
        alarms = first_alarms(world, PRESETS["default"], runs, seed)
    late = np.where(alarms < 0, np.inf, alarms)
    return f"{np.median(late):.0f}" if np.isfinite(np.median(late)) else f"> {world.minutes}"


def paired(runs: int, seed: int) -> Iterator[str]:
    """Median events until a smaller rating error is certain (e-value 20), by pairs and by a split of them."""
    yield "| correlation of the errors | error smaller by | pairs | split |"
    yield "|---|---|---|---|"
    rng = np.random.default_rng(seed)
    for correlation in (0.90, 0.95, 0.98):
        for smaller in (0.005, 0.01):
            events = np.array([_events(correlation, smaller, rng) for _ in range(runs)])
            medians = [f"{value:,.0f}" if value <= EVENTS else f"> {EVENTS:,}" for value in np.median(events, axis=0)]
            yield f"| {correlation} | {smaller:.1%} | {' | '.join(medians)} |"


def ablation(runs: int, seed: int) -> Iterator[str]:
    """What the looks' error rate becomes when the share reacts to the challenger being ahead, which it must not."""
    yield "| share of the challenger | A = B promoted |"
    yield "|---|---|"
    for name, weigh in SHARES.items():
        with patch.object(rules, "next_share", _reacting(weigh) if weigh else next_share):
            promoted = simulate_in_blocks(World(), PRESETS["default"], runs, seed).promoted
        yield f"| {name} | {promoted:.1%} ± {np.sqrt(promoted * (1 - promoted) / runs):.1%} |"


#: From P(better) to a share, after the stages.
SHARES: dict[str, Callable[[Floats], Floats] | None] = {
    "Usher's": None,
    "P(better), clipped to [.1, .9]": lambda better: np.clip(better, 0.1, 0.9),
    "half, but 2 % for one that is clearly ahead": lambda better: np.where(better > 0.975, 0.02, 0.5),
}


def _reacting(weigh: Callable[[Floats], Floats]) -> Callable[[Ints, Ints, Floats, Preset], Share]:
    def share(stage: Ints, users: Ints, better: Floats, preset: Preset) -> Share:
        ours = next_share(stage, users, better, preset)
        return ours._replace(weight=np.where(ours.stage == len(preset.stages), weigh(better), ours.weight))

    return share


EVENTS, _EVERY = 200_000, 500


def _events(correlation: float, smaller: float, rng: np.random.Generator) -> tuple[int, int]:
    """Events that a pair and a split needed, looked at every 500; above EVENTS when they did not suffice."""
    noise = rng.normal(0, 0.95, (2, EVENTS))
    other = correlation * noise[0] + np.sqrt(1 - correlation**2) * noise[1]
    champion, challenger = np.abs(noise[0]).clip(0, 4), np.abs(other).clip(0, 4) * (1 - smaller)
    mine = rng.random(EVENTS) < 0.5
    middle = champion.mean()
    return _first((champion - challenger) / 4), _first(np.where(mine, middle - challenger, champion - middle) / 4)


def _first(gains: Floats) -> int:
    total, squares = np.cumsum(gains)[_EVERY - 1 :: _EVERY], np.cumsum(gains**2)[_EVERY - 1 :: _EVERY]
    pairs = zip(total, squares, strict=True)
    log_e = [log_e_better(ErrorGain(0, float(one), float(other))) for one, other in pairs]
    reached = np.flatnonzero(np.array(log_e) >= np.log(20))
    return int(reached[0] + 1) * _EVERY if len(reached) else EVENTS + 1


def main() -> int:
    parser = argparse.ArgumentParser(description="What the decision reaches, beside others, in simulated worlds.")
    parser.add_argument("--runs", type=int, help="runs a cell (table, ablation 2,000, faults 200, paired 40)")
    parser.add_argument("--part", choices=("table", "claims", "faults", "paired", "ablation"), help="only this part")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "table": lambda: table(given.runs or 2000, given.seed),
        "claims": lambda: claims(given.runs, given.seed),
        "faults": lambda: faults(given.runs or 200, given.seed),
        "paired": lambda: paired(given.runs or 40, given.seed),
        "ablation": lambda: ablation(given.runs or 2000, given.seed),
    }
    for name, lines in parts.items():
        if given.part in (None, name):
            start = time.process_time()
            for line in lines():
                print(line, flush=True)
            print(f"\n{name}: {time.process_time() - start:.0f} s CPU, seed {given.seed}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
