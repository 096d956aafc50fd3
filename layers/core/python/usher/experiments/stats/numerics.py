"""The few numerical functions that numpy lacks (SciPy is too large for a Lambda layer)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_erfc = np.frompyfunc(math.erfc, 1, 1)


def normal_cdf(z: Floats) -> Floats:
    """Φ(z), accurate in both tails; ±inf are taken, NaN gives NaN."""
    result: Floats = np.asarray(0.5 * _erfc(-np.asarray(z, dtype=np.float64) / math.sqrt(2.0)), dtype=np.float64)
    return result


def log_mean_exp(values: Floats) -> Floats:
    """log of the mean of exp(values) over the last axis, without overflow; all -inf gives -inf."""
    return log_sum_exp(values) - math.log(values.shape[-1])


def log_sum_exp(values: Floats) -> Floats:
    """log Σ exp(values) over the last axis, without overflow; all -inf gives -inf."""
    top = values.max(axis=-1)
    shift = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        result: Floats = np.log(np.exp(values - shift[..., None]).sum(axis=-1)) + shift
    return result
