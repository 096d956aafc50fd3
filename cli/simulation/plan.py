"""What a planned experiment can find, how long it takes and what it costs: by simulating it before it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cli.simulation.controller import Results, simulate
from cli.simulation.worlds import World
from usher.experiments.stats.presets import PRESETS, preset
from usher.experiments.stats.rules import PROMOTES, Rule

#: The relative lifts of the power table.
LIFTS = (0.01, 0.02, 0.03, 0.05, 0.10, 0.20)


@dataclass(frozen=True, slots=True)
class Forecast:
    """One row of a plan; hours are until the experiment ends, however it ends. Shares are 0 to 1."""

    label: str
    promoted: float
    promoted_error: float  #: standard error of `promoted`
    retired: float
    undecided: float
    median_hours: float
    mean_hours: float
    late_hours: float  #: nine in ten have ended by then
    users: float  #: who see the challenger, on average
    lost: float  #: conversions lost against always serving the better one, on average


def forecast(label: str, results: Results) -> Forecast:
    promoted = results.share(*PROMOTES)
    return Forecast(
        label,
        promoted,
        float(np.sqrt(max(promoted * (1 - promoted), 1e-9) / len(results.rule))),
        results.share(Rule.HARM, Rule.EXCLUDED, Rule.HOPELESS),
        results.share(Rule.HORIZON),
        float(np.median(results.hours)),
        float(results.hours.mean()),
        float(np.quantile(results.hours, 0.9)),
        float(results.challenger_users.mean()),
        float(results.lost.mean()),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """The world as asked for under each preset, and the chosen preset with other lifts (the first row: none)."""

    presets: tuple[Forecast, ...]
    lifts: tuple[Forecast, ...]


def plan(world: World, chosen: str, runs: int, seed: int, done: Callable[[str], None]) -> Plan:
    """Simulate each row `runs` times; `done` is called with each row's label when it is ready."""
    names = ("default", "patient", "cautious") if chosen != "demo" else ("demo",)
    by_preset = []
    for name in names:
        by_preset.append(forecast(name, simulate(world, PRESETS[name], runs, seed)))
        done(name)
    by_lift = []
    for lift in (0.0, *LIFTS):
        if world.base_rate * (1 + lift) < 1:
            other = replace(world, lift=lift)
            by_lift.append(
                forecast(f"{lift:+.0%}" if lift else "none", simulate(other, preset(chosen), runs, seed + 1))
            )
        done(f"{lift:+.0%}")
    return Plan(tuple(by_preset), tuple(by_lift))


def rows_of(chosen: str) -> int:
    """How often `plan` calls `done`."""
    return (1 if chosen == "demo" else 3) + 1 + len(LIFTS)
