"""Automatic early stopping: SageMaker's median rule on the objective, epoch by epoch."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

#: Finished trials that the rule needs to compare with.
TRIALS_MIN = 3


def is_hopeless(series: Sequence[float], finished: Sequence[Sequence[float]], *, maximize: bool) -> bool:
    """Whether a running trial, having printed `series`, is worse than the median of the finished trials' running means.

    A trial at or past the last epoch of every other is left alone: it is about to write its model.
    """
    epoch = len(series)
    if epoch == 0:
        return False
    others = [statistics.fmean(other[:epoch]) for other in finished if len(other) > epoch]
    if len(others) < TRIALS_MIN:
        return False
    median = statistics.median(others)
    return series[-1] < median if maximize else series[-1] > median
