"""The best few of many scores, without sorting all of them."""

from __future__ import annotations

import numpy as np

from usher_scorer.profiles import Float32, Int64


def top_k(scores: Float32, k: int) -> Int64:
    """Indices of the k highest scores in descending order, of each row when there are several.

    -inf marks what may not be shown.

    scores (..., items). Equal scores keep the order of their indices, so that an answer does not depend on the
    machine. Fewer than k where fewer are finite: those places hold -1 (in the one-row form they are left out).
    """
    rows = np.atleast_2d(scores)
    k = min(k, rows.shape[1])
    if k < rows.shape[1] // 2:
        part = np.sort(np.argpartition(rows, -k, axis=1)[:, -k:], axis=1)
        lowest = np.take_along_axis(rows, part, 1).min(axis=1)
        _settle_ties(rows, part, lowest)
    else:
        part = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    values = np.take_along_axis(rows, part, 1)
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    best = np.where(np.take_along_axis(values, order, 1) > -np.inf, np.take_along_axis(part, order, 1), -1)
    return best if scores.ndim > 1 else best[0][best[0] >= 0]


def _settle_ties(rows: Float32, part: Int64, lowest: Float32) -> None:
    """Where a score equal to the lowest one shown was left out, take the lower indices, in place."""
    shown = (np.take_along_axis(rows, part, 1) == lowest[:, None]).sum(axis=1)
    for row in np.flatnonzero((rows == lowest[:, None]).sum(axis=1) > shown):
        above = part[row][rows[row, part[row]] > lowest[row]]
        equal = np.flatnonzero(rows[row] == lowest[row])[: part.shape[1] - len(above)]
        part[row] = np.sort(np.concatenate([above, equal]))
