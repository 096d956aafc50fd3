"""One simulated experiment, decision by decision, through the calls that the Lambda function makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cli.simulation.world import Draw, World, draw
from usher.experiments.stats.decisions import Minute, Verdict, check_minute, close_epoch
from usher.experiments.stats.presets import Preset
from usher.experiments.stats.state import State, new_state
from usher.experiments.stats.strata import RoleCount, Stratum

#: Requests of a user in the first hour, for the guardrails.
_REQUESTS_PER_USER = 2.0
#: The champion's share of server errors.
_HEALTHY = 0.002


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """The end of an epoch, or the minute that ended the experiment. true_lift: of the simulated world at that time."""

    hours: float
    decision: Verdict
    true_lift: float

    def number(self, name: str) -> float:
        """A number of the decision; NaN when it is missing."""
        return float(self.decision.numbers.get(name, np.nan))


def simulate_one(world: World, preset: Preset, seed: int, error_rate: float = 0.0) -> Iterator[DecisionPoint]:
    """Run one experiment. error_rate: the challenger's share of server errors, 0 to 1; the champion has 0.2 %."""
    rng = np.random.default_rng(seed)
    state = new_state(preset)
    open_windows: list[Stratum] = []
    for number in range(int(np.ceil(preset.horizon_hours / world.epoch_hours - 1e-9))):
        begins, closes = number * world.epoch_hours, (number + 1) * world.epoch_hours
        drawn = draw(world, begins, state.weight, rng)
        champion, challenger = world.rates(begins)
        lift = challenger / champion - 1
        open_windows.append(_stratum(number + 1, float(state.weight[0]), drawn))
        if error_rate:
            state, stopped = _minutes(
                state, preset, _minutes_of(begins, closes), _Requests(drawn, world, error_rate, rng)
            )
            if stopped:
                yield DecisionPoint(stopped[0], stopped[1], lift)
                return
        due = [open_windows.pop(0)] if len(open_windows) > world.window_epochs else []
        outcome = close_epoch(state, due, closes, preset)
        state = outcome.state
        yield DecisionPoint(closes, outcome.verdict, lift)
        if outcome.verdict.ends:
            return


def _stratum(version: int, weight: float, drawn: Draw) -> Stratum:
    roles = [
        RoleCount(int(n), int(c), float(c), float(c)) for n, c in zip(drawn.exposed[0], drawn.converted[0], strict=True)
    ]
    return Stratum(version, weight, *roles)


def _minutes_of(begins: float, closes: float) -> range:
    """Minutes since the start that begin inside an epoch (hours); an epoch under a minute may have none."""
    return range(int(np.ceil(begins * 60 - 1e-9)), int(np.ceil(closes * 60 - 1e-9)))


@dataclass(frozen=True, slots=True)
class _Requests:
    """Requests and errors of an epoch's users, minute by minute."""

    drawn: Draw
    world: World
    error_rate: float
    rng: np.random.Generator

    def minute(self, minute: int) -> Minute:
        per_minute = self.drawn.enrolled[0] * _REQUESTS_PER_USER / (60 * self.world.epoch_hours)
        requests = self.rng.poisson(per_minute)
        errors = self.rng.binomial(requests, (_HEALTHY, self.error_rate))
        return Minute(minute, (int(requests[0]), int(requests[1])), {"errors": (int(errors[0]), int(errors[1]))})


def _minutes(
    state: State, preset: Preset, span: range, requests: _Requests
) -> tuple[State, tuple[float, Verdict] | None]:
    """Check the guardrails each minute; returns the hour and the decision that ended the experiment, if any."""
    for minute in span:
        outcome = check_minute(state, requests.minute(minute), preset)
        state = outcome.state
        if outcome.verdict.ends:
            return state, ((minute + 1) / 60, outcome.verdict)
    return state, None
