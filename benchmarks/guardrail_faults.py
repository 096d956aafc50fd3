"""Minutes of requests in which the challenger, the champion or both go wrong: how soon the guardrails see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usher.experiments.stats import state as states
from usher.experiments.stats.guardrails import Answers
from usher.experiments.stats.numerics import Ints
from usher.experiments.stats.presets import GUARDRAIL_KINDS, Preset
from usher.experiments.stats.rules import Rule, minute_rules
from usher.experiments.stats.state import new_state


@dataclass(frozen=True, slots=True)
class Faults:
    """Requests a minute, the challenger's share, and rates of server errors; both have `healthy` before `breaks_at`."""

    requests_per_minute: float = 33.0
    weight: float = 0.05
    healthy: float = 0.002
    champion: float = 0.002
    challenger: float = 0.002
    breaks_at: int = 0  #: minute
    minutes: int = 1440

    def rates(self, minute: int) -> tuple[float, float]:
        """Of champion and challenger."""
        return (self.healthy, self.healthy) if minute < self.breaks_at else (self.champion, self.challenger)


def first_alarms(faults: Faults, preset: Preset, runs: int, seed: int) -> Ints:
    """The minute after which each run rolled back, counted from the break, (runs,); −1 where it never did.

    A run that rolls back before the break counts as minute 0: a false alarm.
    """
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


def _draw(faults: Faults, minute: int, size: int, rng: np.random.Generator) -> Answers:
    shares = np.array([1 - faults.weight, faults.weight])
    requests = rng.poisson(faults.requests_per_minute * shares, (size, 2))
    bad = np.zeros((size, len(GUARDRAIL_KINDS), 2))
    bad[:, 0] = rng.binomial(requests, faults.rates(minute))
    return Answers(requests.astype(np.float64), bad)
