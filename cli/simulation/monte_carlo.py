"""Monte Carlo simulation of experiments: many at once through the production rules, and a power plan from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from cli.simulation.world import Draw, World, draw
from usher.experiments.stats import state as states
from usher.experiments.stats.numerics import Bools, Floats, Ints
from usher.experiments.stats.presets import PRESETS, Preset, preset
from usher.experiments.stats.rules import FREEZES, PROMOTES, Rule, Verdicts, epoch_rules
from usher.experiments.stats.state import Counts, State, new_state

#: The relative lifts of the power table.
LIFTS = (0.01, 0.02, 0.03, 0.05, 0.10, 0.20)


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of the experiments that still run: their indices, what was drawn, the state and the verdicts."""

    hours: float
    running: Ints
    weight: Floats
    drawn: Draw
    state: State
    verdicts: Verdicts


@dataclass(frozen=True, slots=True)
class Results:
    """One row per experiment. lost: conversions lost until it ended, against always serving the better variant."""

    rule: Ints
    hours: Floats
    challenger_users: Floats
    lost: Floats
    lift: Floats  #: as estimated when it ended
    covered: Bools  #: whether the confidence sequence held the true lift when it ended

    def share(self, *rules: Rule) -> float:
        return float(np.isin(self.rule, rules).mean())

    @property
    def promoted(self) -> float:
        """Share of the experiments that promoted the challenger, 0 to 1."""
        return self.share(*PROMOTES)

    def median_hours(self, *rules: Rule) -> float:
        """Median hours of the experiments that ended by one of `rules`; NaN when none did."""
        chosen = self.hours[np.isin(self.rule, rules)]
        return float(np.median(chosen)) if len(chosen) else float("nan")


def epochs(world: World, rules: Preset, experiments: int, rng: np.random.Generator) -> Iterator[Epoch]:
    """Run experiments epoch by epoch until all have ended. A stratum counts when its attribution window has closed."""
    state = new_state(rules, experiments)
    running = np.arange(experiments)
    open_windows: list[tuple[Draw, Floats]] = []
    for number in range(int(np.ceil(rules.horizon_hours / world.epoch_hours - 1e-9))):
        weight = state.weight
        drawn = draw(world, number * world.epoch_hours, weight, rng)
        open_windows.append((drawn, weight))
        hours = (number + 1) * world.epoch_hours
        state = states.begin_epoch(state, np.full(len(running), hours), rules)
        if len(open_windows) > world.window_epochs:
            state = states.count_stratum(state, rules, _counts(*open_windows.pop(0)))
        state, verdicts = epoch_rules(state, rules, np.zeros(len(running), dtype=np.bool_))
        yield Epoch(hours, running, weight, drawn, state, verdicts)
        goes_on = np.isin(verdicts.rule, (Rule.CONTINUE, *FREEZES))
        if not goes_on.any():
            return
        if not goes_on.all():
            state, running = state.rows(goes_on), running[goes_on]
            open_windows = [(item.rows(goes_on), share[goes_on]) for item, share in open_windows]


def _counts(drawn: Draw, weight: Floats) -> Counts:
    rewards = drawn.converted.astype(np.float64)
    return Counts(drawn.exposed, drawn.converted, rewards, rewards, weight)


def simulate(world: World, rules: Preset, experiments: int, seed: int) -> Results:
    """Run experiments to their end. The same seed gives the same results."""
    results = _empty(experiments)
    for epoch in epochs(world, rules, experiments, np.random.default_rng(seed)):
        _add(results, epoch, world)
    return results


def _empty(experiments: int) -> Results:
    hours, users, lost, lift = np.zeros((4, experiments))
    return Results(
        np.zeros(experiments, dtype=np.int64), hours, users, lost, lift, np.zeros(experiments, dtype=np.bool_)
    )


def _add(results: Results, epoch: Epoch, world: World) -> None:
    rows = epoch.running
    rates = np.array(world.rates(epoch.hours - world.epoch_hours))
    results.lost[rows] += epoch.drawn.enrolled @ (rates.max() - rates)
    results.challenger_users[rows] += epoch.drawn.enrolled[:, 1]
    results.rule[rows] = epoch.verdicts.rule
    results.hours[rows] = epoch.hours
    ended = ~np.isin(epoch.verdicts.rule, (Rule.CONTINUE, *FREEZES))
    if ended.any():
        low, high, lift = states.lift_interval(epoch.state.rows(ended))
        results.lift[rows[ended]] = lift
        results.covered[rows[ended]] = (low <= rates[1] / rates[0] - 1) & (rates[1] / rates[0] - 1 <= high)


def simulate_in_blocks(world: World, rules: Preset, experiments: int, seed: int, block: int = 1000) -> Results:
    """The same in blocks, so that memory stays bounded."""
    sizes = [min(block, experiments - start) for start in range(0, experiments, block)]
    blocks = [simulate(world, rules, size, seed + 7919 * number) for number, size in enumerate(sizes)]
    fields = ("rule", "hours", "challenger_users", "lost", "lift", "covered")
    return replace(blocks[0], **{name: np.concatenate([getattr(part, name) for part in blocks]) for name in fields})


@dataclass(frozen=True, slots=True)
class Forecast:
    """One row of a plan. Hours until the experiment ends with any outcome; shares 0 to 1."""

    label: str
    promoted: float
    promoted_error: float  #: standard error of `promoted`
    retired: float
    undecided: float
    median_hours: float
    mean_hours: float
    late_hours: float  #: when nine in ten have ended
    users: float  #: mean number who see the challenger
    lost: float  #: mean conversions lost against always serving the better variant


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
    """presets: the given world under each preset. lifts: the chosen preset with other true lifts, the first one 0."""

    presets: tuple[Forecast, ...]
    lifts: tuple[Forecast, ...]


def plan(world: World, chosen: str, runs: int, seed: int, done: Callable[[str], None]) -> Plan:
    """Power, duration and cost of an experiment, from `runs` simulations a row. done: called with each row's label."""
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
    """The number of times that `plan` calls `done`."""
    return (1 if chosen == "demo" else 3) + 1 + len(LIFTS)
