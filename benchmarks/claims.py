"""Claims about the experiment statistics: the simulated world of each, its bounds, and how fast guardrails see faults.

Tests check them, and `benchmarks.shifting` prints them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cli.simulation.monte_carlo import Results, simulate_in_blocks
from cli.simulation.world import World
from usher.experiments.stats import state as states
from usher.experiments.stats.guardrails import RequestCounts
from usher.experiments.stats.numerics import Ints
from usher.experiments.stats.presets import GUARDRAIL_KINDS, Preset, preset
from usher.experiments.stats.rules import PROMOTES, Rule, minute_rules
from usher.experiments.stats.state import new_state


@dataclass(frozen=True, slots=True)
class Measure:
    """A statistic of many runs, and its standard error."""

    name: str
    read: Callable[[Results], float]
    error: Callable[[Results, float], float]  #: standard error at a value
    form: str = "{:.4g}"


def _share(name: str, read: Callable[[Results], float]) -> Measure:
    return Measure(name, read, lambda runs, at: math.sqrt(max(at * (1 - at), 1e-9) / len(runs.rule)), "{:.2%}")


def _mean(name: str, values: Callable[[Results], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]) -> Measure:
    def error(runs: Results, _: float) -> float:
        return float(values(runs).std() / math.sqrt(len(runs.rule)))

    return Measure(name, lambda runs: float(values(runs).mean()), error, "{:.0f}")


PROMOTED = _share("promoted", lambda runs: runs.promoted)
HARMED = _share("retired as worse", lambda runs: runs.share(Rule.HARM))
COVERED = _share("true lift inside its interval", lambda runs: float(runs.covered.mean()))
MEAN_HOURS = _mean("mean hours", lambda runs: runs.hours)
LOST = _mean("conversions lost", lambda runs: runs.lost)
USERS = _mean("users who saw it", lambda runs: runs.challenger_users)
#: A median of whole epochs has no useful standard error: its bound has no slack.
MEDIAN_HOURS = Measure("median hours", lambda runs: runs.median_hours(*PROMOTES), lambda *_: 0.0, "{:.0f}")


@dataclass(frozen=True, slots=True)
class Bound:
    """`measure` is at most, or at least, `value`."""

    measure: Measure
    value: float
    at_most: bool = True

    def holds(self, runs: Results, errors: float = 3.0) -> bool:
        """Whether the bound holds within so many standard errors of the simulation."""
        slack = errors * self.measure.error(runs, self.value)
        got = self.measure.read(runs)
        return got <= self.value + slack if self.at_most else got >= self.value - slack

    def text(self, runs: Results) -> str:
        got, bound = (self.measure.form.format(value) for value in (self.measure.read(runs), self.value))
        return f"{self.measure.name} {got} ({'≤' if self.at_most else '≥'} {bound})"


@dataclass(frozen=True, slots=True)
class Claim:
    """Bounds that hold in a world, and how many runs show it."""

    name: str
    world: World
    bounds: tuple[Bound, ...]
    runs: int = 2000
    preset: str = "default"

    def simulate(self, seed: int, runs: int | None = None) -> Results:
        return simulate_in_blocks(self.world, preset(self.preset), runs or self.runs, seed)


def _novelty(hours: float) -> float:
    """A lift of +10 % at first that falls to −3 % after some days."""
    return 0.13 * math.exp(-hours / 20.0) - 0.03


_EQUAL = (Bound(PROMOTED, 0.035), Bound(HARMED, 0.05), Bound(COVERED, 0.95, at_most=False))
#: The lift at which a mean delay of 18 h gives as many conversions within 24 h as a mean delay of 6 h.
_SLOWER = math.expm1(-24 / 6) / math.expm1(-24 / 18) - 1
_CYCLES = World(daily=0.3, weekly=0.2)

#: Equal variants: a promotion may not be more frequent than the error rate, whatever else happens.
EQUAL = (
    Claim("A = B", World(), (*_EQUAL, Bound(MEAN_HOURS, 225.0)), runs=8000),
    Claim("A = B, daily cycle ±50 %", World(daily=0.5), _EQUAL, runs=4000),
    Claim("A = B, daily and weekly cycle", _CYCLES, _EQUAL, runs=4000),
    Claim("A = B, base rate halves", World(daily=0.3, trend=(1.3, 0.65)), _EQUAL, runs=3000),
    Claim("A = B, base rate doubles", World(daily=0.3, trend=(0.65, 1.3)), _EQUAL, runs=3000),
    Claim("A = B, conversions late (24 h window)", World(daily=0.3, delay_hours=6, window_hours=24), _EQUAL),
    Claim(
        "A = B inside the window, B converts slower",
        World(lift=_SLOWER, delay_hours=6, challenger_delay_hours=18, window_hours=24),
        _EQUAL,
        runs=1000,
    ),
    Claim("A = B, epochs of 6 minutes", World(epoch_hours=0.1), _EQUAL, runs=1000),
    Claim("A = B, epochs of 6 hours", World(epoch_hours=6.0, daily=0.3), _EQUAL, runs=4000),
    Claim("A = B, epochs of 24 hours", World(epoch_hours=24.0), _EQUAL, runs=8000),
    Claim("A = B, 200 users an hour", World(users_per_hour=200), _EQUAL, runs=4000),
    Claim("A = B, 20,000 users an hour", World(users_per_hour=20_000), _EQUAL, runs=1000),
    Claim("A = B, bots in one epoch of ten", World(bots=0.1), _EQUAL, runs=1000),
    Claim("A = B, heavy-tailed traffic and rates", World(bursts=1.0), _EQUAL, runs=1000),
    Claim("A = B, demo", World(users_per_hour=3000, epoch_hours=1 / 60), _EQUAL, preset="demo"),
    Claim("A = B, 20 users an hour at 30 %", World(users_per_hour=20, base_rate=0.3), _EQUAL, runs=4000),
    Claim("A = B, patient", _CYCLES, _EQUAL, preset="patient"),
    Claim("A = B, cautious", _CYCLES, _EQUAL, preset="cautious"),
)

#: Different variants: a difference has to be detected soon, and harm has to be cheap.
DIFFERENT = (
    Claim("B +2 %", World(lift=0.02), (Bound(PROMOTED, 0.76, at_most=False),), runs=4000),
    Claim("B +2 %, patient", World(lift=0.02), (Bound(PROMOTED, 0.89, at_most=False),), preset="patient"),
    Claim("B +5 %", World(lift=0.05), (Bound(MEDIAN_HOURS, 62.0), Bound(PROMOTED, 0.99, at_most=False))),
    Claim("B +10 %", World(lift=0.10), (Bound(PROMOTED, 0.999, at_most=False), Bound(MEDIAN_HOURS, 25.0)), runs=4000),
    Claim("B −5 %", World(lift=-0.05), (Bound(PROMOTED, 0.001),), runs=4000),
    Claim("B −20 %", World(lift=-0.20), (Bound(PROMOTED, 0.001), Bound(LOST, 50.0), Bound(USERS, 2300.0)), runs=4000),
    Claim("B −5 %, daily cycle ±50 %", World(lift=-0.05, daily=0.5), (Bound(PROMOTED, 0.001),)),
    Claim("B +10 % wears off to −3 %, cautious", World(novelty=_novelty), (Bound(PROMOTED, 0.001),), preset="cautious"),
    Claim("B loses 5 % of its exposures", World(lost_challenger=0.05), (Bound(PROMOTED, 0.035),)),
)

CLAIMS = EQUAL + DIFFERENT


@dataclass(frozen=True, slots=True)
class Faults:
    """Requests a minute, the challenger's share, and server error rates, which are `healthy` before `breaks_at`."""

    requests_per_minute: float = 33.0
    weight: float = 0.05
    healthy: float = 0.002
    champion: float = 0.002
    challenger: float = 0.002
    breaks_at: int = 0  #: minute
    minutes: int = 1440

    def rates(self, minute: int) -> tuple[float, float]:
        """Error rates of champion and challenger."""
        return (self.healthy, self.healthy) if minute < self.breaks_at else (self.champion, self.challenger)


def first_alarms(faults: Faults, preset: Preset, runs: int, seed: int) -> Ints:
    """Minutes from the break to the rollback of each run, (runs,); −1 without a rollback, 0 before the break."""
    rng = np.random.default_rng(seed)
    state, running = new_state(preset, runs), np.arange(runs)
    alarms = np.full(runs, -1, dtype=np.int64)
    for minute in range(faults.breaks_at + faults.minutes):
        answers = _draw(faults, minute, len(running), rng)
        state = states.check_minute(state, np.full(len(running), minute), answers, preset)
        fired = minute_rules(state, preset) == Rule.GUARDRAIL
        if fired.any():
            alarms[running[fired]] = max(minute + 1 - faults.breaks_at, 0)
            state, running = state.rows(~fired), running[~fired]
        if not len(running):
            break
    return alarms


def _draw(faults: Faults, minute: int, size: int, rng: np.random.Generator) -> RequestCounts:
    shares = np.array([1 - faults.weight, faults.weight])
    requests = rng.poisson(faults.requests_per_minute * shares, (size, 2))
    bad = np.zeros((size, len(GUARDRAIL_KINDS), 2))
    bad[:, 0] = rng.binomial(requests, faults.rates(minute))
    return RequestCounts(requests.astype(np.float64), bad)
