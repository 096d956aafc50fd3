"""Usher's experiments beside other policies in the same simulated worlds, and every claim of docs/shifting.md.

    python benchmarks/shifting.py [--runs 2000] [--part table|claims|faults|ablation] [--seed 1]

Each policy has a nominal error rate of 5 % (Usher 3.4 %): the share of equal challengers that it may promote. There are
2,000 new users an hour, of whom 10 % convert, hourly epochs, and 14 days at most.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from unittest.mock import patch

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one core on every machine

import numpy as np

from benchmarks.claims import CLAIMS, Faults, first_alarms
from benchmarks.rival_policies import Rival, RivalResults, rivals, run_rival
from cli.simulation.monte_carlo import simulate_in_blocks
from cli.simulation.world import World
from usher.experiments.stats import change_point, rules
from usher.experiments.stats.numerics import Floats, Ints
from usher.experiments.stats.presets import PRESETS, Preset
from usher.experiments.stats.rules import PROMOTES, Rule, Share, next_share

CYCLE = 0.5


def outcome(policy: Rival | str, world: World, runs: int, seed: int) -> RivalResults:
    """The results of another policy, or of one of Usher's presets."""
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
    """Promoted share, median hours to a promotion, and the cost of a −20 % challenger."""
    yield "| policy | " + " | ".join(f"{name}" for name, _, _ in COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    policies: list[tuple[str, Rival | str]] = [(rival.name, rival) for rival in rivals()]
    policies += [("**Usher**, default", "default"), ("**Usher**, patient (21 days)", "patient")]
    for name, policy in policies:
        cells = [show(outcome(policy, world, runs, seed)) for _, world, show in COLUMNS]
        yield f"| {name} | " + " | ".join(cells) + " |"


def claims(runs: int | None, seed: int) -> Iterator[str]:
    """Every claim: the simulated world, the result, the bound."""
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
    """Minutes until a challenger with errors is rolled back, from its start and after three days without errors."""
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
    yield f"Challengers rolled back, of 500, in an outage of both variants (20 % errors, 2 h): {(outage >= 0).sum()}"


def _minutes(world: Faults, runs: int, seed: int, mixture: bool) -> str:
    # Without the mixture every fault is assumed to begin at the start.
    at_once = (change_point.AT_ONCE, change_point.INITIAL) if mixture else (1.0 - 1e-12, 0.0)
    with patch.multiple(change_point, AT_ONCE=at_once[0], INITIAL=at_once[1]):
        alarms = first_alarms(world, PRESETS["default"], runs, seed)
    late = np.where(alarms < 0, np.inf, alarms)
    return f"{np.median(late):.0f}" if np.isfinite(np.median(late)) else f"> {world.minutes}"


def ablation(runs: int, seed: int) -> Iterator[str]:
    """The error rate if the challenger's share depended on the current difference, which it must not."""
    yield "| share of the challenger | A = B promoted |"
    yield "|---|---|"
    for name, weigh in SHARES.items():
        with patch.object(rules, "next_share", _reacting(weigh) if weigh else next_share):
            promoted = simulate_in_blocks(World(), PRESETS["default"], runs, seed).promoted
        yield f"| {name} | {promoted:.1%} ± {np.sqrt(promoted * (1 - promoted) / runs):.1%} |"


#: P(better) → the challenger's share after the stages.
SHARES: dict[str, Callable[[Floats], Floats] | None] = {
    "Usher's": None,
    "P(better), clipped to [.1, .9]": lambda better: np.clip(better, 0.1, 0.9),
    "half, but 2 % for a clear leader": lambda better: np.where(better > 0.975, 0.02, 0.5),
}


def _reacting(weigh: Callable[[Floats], Floats]) -> Callable[[Ints, Ints, Floats, Preset], Share]:
    def share(stage: Ints, users: Ints, better: Floats, preset: Preset) -> Share:
        ours = next_share(stage, users, better, preset)
        return ours._replace(weight=np.where(ours.stage == len(preset.stages), weigh(better), ours.weight))

    return share


def main() -> int:
    parser = argparse.ArgumentParser(description="Usher's experiments beside other policies in simulated worlds.")
    parser.add_argument("--runs", type=int, help="runs a cell (table, ablation 2,000, faults 200)")
    parser.add_argument("--part", choices=("table", "claims", "faults", "ablation"), help="only this part")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "table": lambda: table(given.runs or 2000, given.seed),
        "claims": lambda: claims(given.runs, given.seed),
        "faults": lambda: faults(given.runs or 200, given.seed),
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
