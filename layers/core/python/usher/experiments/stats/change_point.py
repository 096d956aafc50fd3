"""A fault may begin late: half of the evidence starts at once, the other half evenly over the experiment's time.

An e-process that starts with the experiment collects evidence for health over weeks, which a later fault has to
outweigh first: a challenger that breaks on its tenth day would be served for hours. A mixture over the time of the
break is an e-process too, whose error rate holds, and it sees a late break nearly as fast as an early one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from usher.experiments.stats.numerics import Floats

AT_ONCE = 0.5
#: log of what an accumulator holds before anything was seen.
INITIAL = math.log(AT_ONCE)


def started(elapsed: Floats, horizon: float) -> Floats:
    """The share of the evidence that has started, (R,), after `elapsed` of `horizon` (the same unit)."""
    return AT_ONCE + (1.0 - AT_ONCE) * np.clip(elapsed / horizon, 0.0, 1.0)


class Started(NamedTuple):
    """The shares of the evidence started, (R,), at the last step and at this one."""

    before: Floats
    now: Floats


def advance(log_sum: Floats, increment: Floats, started_by: Started) -> Floats:
    """Let what is due start, then multiply by the increment.

    log_sum, increment: (R, …), log of the evidence that has started and the log of this step's e-values.
    """
    with np.errstate(divide="ignore"):
        fresh = np.log(np.maximum(started_by.now - started_by.before, 0.0)).reshape((-1,) + (1,) * (log_sum.ndim - 1))
    result: Floats = np.logaddexp(log_sum, fresh) + increment
    return result


def with_waiting(log_e: Floats, now: Floats) -> Floats:
    """Add the share that has not started, which counts as one: log e-value (R,)."""
    with np.errstate(divide="ignore"):
        result: Floats = np.logaddexp(log_e, np.log(1.0 - now))
    return result
