"""The loop around the statistics: epochs of a world, the production rules on many experiments, their cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cli.simulation.worlds import Draw, World, draw
from usher.experiments.stats import state as states
from usher.experiments.stats.numerics import Bools, Floats, Ints
from usher.experiments.stats.presets import Preset
from usher.experiments.stats.rules import FREEZES, PROMOTES, Rule, Verdicts, epoch_rules
from usher.experiments.stats.state import Counts, State, new_state


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of the experiments that still run: which they are, what was drawn, the state and the verdicts."""

    hours: float
    running: Ints
    weight: Floats
    drawn: Draw
    state: State
    verdicts: Verdicts


@dataclass(frozen=True, slots=True)
class Results:
    """One row per experiment. lost: conversions lost against always serving the better role, until it ended."""

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


def epochs(world: World, preset: Preset, experiments: int, rng: np.random.Generator) -> Iterator[Epoch]:
    """Run experiments until the last has ended, an epoch at a time. Strata are counted when their window has closed."""
    state = new_state(preset, experiments)
    running = np.arange(experiments)
    waiting: list[tuple[Draw, Floats]] = []
    for number in range(int(np.ceil(preset.horizon_hours / world.epoch_hours - 1e-9))):
        weight = state.weight
        drawn = draw(world, number * world.epoch_hours, weight, rng)
        waiting.append((drawn, weight))
        hours = (number + 1) * world.epoch_hours
        state = states.begin_epoch(state, np.full(len(running), hours), preset)
        if len(waiting) > world.window_epochs:
            state = states.count_stratum(state, preset, _counts(*waiting.pop(0)))
        state, verdicts = epoch_rules(state, preset, np.zeros(len(running), dtype=np.bool_))
        yield Epoch(hours, running, weight, drawn, state, verdicts)
        goes_on = np.isin(verdicts.rule, (Rule.CONTINUE, *FREEZES))
        if not goes_on.any():
            return
        if not goes_on.all():
            state, running = state.rows(goes_on), running[goes_on]
            waiting = [(item.rows(goes_on), share[goes_on]) for item, share in waiting]


def _counts(drawn: Draw, weight: Floats) -> Counts:
    rewards = drawn.converted.astype(np.float64)
    return Counts(drawn.exposed, drawn.converted, rewards, rewards, weight)


def simulate(world: World, preset: Preset, experiments: int, seed: int) -> Results:
    """Run experiments to their end; the seed fixes everything."""
    results = _empty(experiments)
    for epoch in epochs(world, preset, experiments, np.random.default_rng(seed)):
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


def simulate_in_blocks(world: World, preset: Preset, experiments: int, seed: int, block: int = 1000) -> Results:
    """The same for many experiments in bounded memory."""
    sizes = [min(block, experiments - start) for start in range(0, experiments, block)]
    parts = [simulate(world, preset, size, seed + 7919 * number) for number, size in enumerate(sizes)]
    fields = ("rule", "hours", "challenger_users", "lost", "lift", "covered")
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields})
