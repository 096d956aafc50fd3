"""Compare: paired differences between two models on the same users, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usher_models.ratings import Float64

RESAMPLES = 4000
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """The mean of the paired differences and its 95 % percentile interval."""

    mean: float
    low: float
    high: float

    def fields(self) -> dict[str, float]:
        return {"mean": self.mean, "low": self.low, "high": self.high}


def paired_interval(first: Float64, second: Float64, seed: int) -> Interval:
    """first - second (users,): users are drawn with replacement (Efron 1979), always the same ones for a seed."""
    difference = np.asarray(first, np.float64) - second
    n = len(difference)
    if not n:
        return Interval(0.0, 0.0, 0.0)
    random = np.random.default_rng(seed)
    rows = max(1, _CHUNK_CELLS // n)
    means = [
        difference[random.integers(0, n, (min(rows, RESAMPLES - start), n), dtype=np.int32)].mean(axis=1)
        for start in range(0, RESAMPLES, rows)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Interval(float(difference.mean()), float(low), float(high))
