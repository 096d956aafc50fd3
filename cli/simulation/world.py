"""Simulated traffic and conversions with a known true lift: cycles, drift, delay, faults; many experiments at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from usher.experiments.stats.numerics import Bools, Floats, Ints


@dataclass(frozen=True, slots=True)
class World:
    """True traffic and conversion rates of one champion and one challenger.

    lift:            the challenger's conversion rate relative to the champion's, minus one.
    users_per_hour:  new users, on average over the cycles.
    base_rate:       the champion's conversion rate, on average over the cycles.
    daily, weekly:   relative amplitude of the base rate's cycle; traffic follows 1.2 times as much.
    trend:           the base rate's factor at the start and at the end, linear in between.
    novelty:         lift as a function of hours, instead of `lift`.
    delay_hours:     mean delay of a conversion (exponential); window_hours: how long one counts.
    challenger_delay_hours: the challenger's own mean delay, where it differs.
    lost_challenger: share of the challenger's exposures that are lost before they are counted.
    bots:            share of epochs in which as many bots as users arrive, nine in ten of which convert.
    bursts:          sd of the log of traffic, epoch by epoch (heavy tails), and of the log of the base rate.
    """

    lift: float = 0.0
    users_per_hour: float = 2000.0
    base_rate: float = 0.10
    epoch_hours: float = 1.0
    daily: float = 0.0
    weekly: float = 0.0
    trend: tuple[float, float] = (1.0, 1.0)
    trend_hours: float = 336.0
    novelty: Callable[[float], float] | None = field(default=None, compare=False)
    delay_hours: float = 0.0
    challenger_delay_hours: float | None = None
    window_hours: float = 0.0
    lost_challenger: float = 0.0
    bots: float = 0.0
    bursts: float = 0.0

    def rates(self, hours: float) -> tuple[float, float]:
        """Conversion rates of champion and challenger at an hour, of conversions within the attribution window."""
        cycle = 1 + self.daily * np.sin(2 * np.pi * hours / 24) + self.weekly * np.sin(2 * np.pi * hours / 168)
        start, end = self.trend
        base = self.base_rate * max(cycle, 0.02) * (start + (end - start) * min(hours / self.trend_hours, 1.0))
        lift = self.novelty(hours) if self.novelty else self.lift
        slow = self.delay_hours if self.challenger_delay_hours is None else self.challenger_delay_hours
        return (
            min(base * self._in_window(self.delay_hours), 1.0),
            min(base * (1 + lift) * self._in_window(slow), 1.0),
        )

    def _in_window(self, delay_hours: float) -> float:
        if delay_hours <= 0:
            return 1.0
        return float(-np.expm1(-self.window_hours / delay_hours)) if self.window_hours else 0.0

    def traffic(self, hours: float) -> float:
        """Expected new users of an epoch that begins at an hour."""
        cycle = 1 + 1.2 * (
            self.daily * np.sin(2 * np.pi * hours / 24 - 1) + self.weekly * np.sin(2 * np.pi * hours / 168 - 1)
        )
        return self.users_per_hour * self.epoch_hours * float(max(cycle, 0.05))

    @property
    def window_epochs(self) -> int:
        """Epochs from the end of a stratum until its attribution window has closed."""
        return int(np.ceil(self.window_hours / self.epoch_hours - 1e-9))


@dataclass(frozen=True, slots=True)
class Draw:
    """Counts of an epoch, (R, 2) by role: users enrolled, and exposures and conversions as recorded."""

    enrolled: Ints
    exposed: Ints
    converted: Ints

    def rows(self, where: Bools) -> Draw:
        return Draw(self.enrolled[where], self.exposed[where], self.converted[where])


def draw(world: World, hours: float, weight: Floats, rng: np.random.Generator) -> Draw:
    """Draw the epoch that begins at `hours`, with the challenger's share `weight` (R,)."""
    size = len(weight)
    rates = np.array(world.rates(hours))
    traffic = np.full(size, world.traffic(hours))
    if world.bursts:
        noise = rng.normal(0.0, world.bursts, (2, size))
        traffic = traffic * np.exp(noise[0] - world.bursts**2 / 2)
        rates = np.clip(rates * np.exp(noise[1, :, None] / 2), 0.0, 1.0)
    enrolled = _split(rng.poisson(traffic), weight, rng)
    converted = rng.binomial(enrolled, rates)
    if world.bots:
        bots = _split(np.where(rng.random(size) < world.bots, rng.poisson(traffic), 0), weight, rng)
        enrolled, converted = enrolled + bots, converted + rng.binomial(bots, 0.9)
    lost = np.zeros_like(enrolled)
    if world.lost_challenger:
        lost[:, 1] = rng.binomial(enrolled[:, 1], world.lost_challenger)
    recorded = converted - rng.hypergeometric(converted, enrolled - converted, lost)
    return Draw(enrolled, enrolled - lost, recorded)


def _split(users: Ints, weight: Floats, rng: np.random.Generator) -> Ints:
    challenger = rng.binomial(users, weight)
    return np.stack([users - challenger, challenger], axis=1)
