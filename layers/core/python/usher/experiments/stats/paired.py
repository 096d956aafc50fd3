"""Rating error as evidence: both models score the same event, so no traffic is split and nobody sees the worse one.

With d = (|r − champion's| − |r − challenger's|) / range in [−1, 1], for 0 < λ < 1

    e(λ) = exp{ λ·Σd − (−log(1−λ) − λ)·Σd² }

is an e-process against "the challenger's error is not smaller" (Fan, Grama, Liu 2015). It needs about a tenth of the
events that a split needs (docs/shifting.md).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from usher.experiments.stats.errors import CountError
from usher.experiments.stats.numerics import Floats, log_mean_exp

LAMBDA: Floats = np.array([0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32])
_COST: Floats = -np.log1p(-LAMBDA) - LAMBDA


class ErrorGain(NamedTuple):
    """How much smaller the challenger's error was: events, Σd and Σd², d in [−1, 1]. Batches add up."""

    events: int
    total: float
    squares: float

    def plus(self, other: ErrorGain) -> ErrorGain:
        return ErrorGain(self.events + other.events, self.total + other.total, self.squares + other.squares)


def error_gain(ratings: Floats, champion: Floats, challenger: Floats, low: float = 0.5, high: float = 5.0) -> ErrorGain:
    """The gain over a batch of events, each rated once and scored by both models, all (events,).

    Scores outside the scale [low, high] count as its ends, as people see them. CountError on NaN or unequal lengths.
    """
    if not len(ratings) == len(champion) == len(challenger):
        raise CountError(f"{len(ratings)} ratings, {len(champion)} and {len(challenger)} scores: they must be as many")
    arrays = [np.clip(np.asarray(values, dtype=np.float64), low, high) for values in (ratings, champion, challenger)]
    if any(np.isnan(values).any() for values in arrays):
        raise CountError("a rating or a score is not a number: leave out the events that a model could not score")
    gain = (np.abs(arrays[0] - arrays[1]) - np.abs(arrays[0] - arrays[2])) / (high - low)
    return ErrorGain(len(gain), float(gain.sum()), float((gain**2).sum()))


def log_e_better(gain: ErrorGain) -> float:
    """log e-value against "the challenger's error is not smaller"; may be read after any event."""
    return float(log_mean_exp(LAMBDA * gain.total - _COST * gain.squares))


def log_e_worse(gain: ErrorGain) -> float:
    """log e-value against "the challenger's error is not larger"; may be read after any event."""
    return float(log_mean_exp(-LAMBDA * gain.total - _COST * gain.squares))
