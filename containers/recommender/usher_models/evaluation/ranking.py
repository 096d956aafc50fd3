"""Ranking metrics of many users at once: NDCG@10, Recall@10, Recall@20, MAP@10, over the full catalogue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from usher_models.errors import DataError
from usher_models.evaluation.window import Window
from usher_models.ratings import Bool, Float32, Float64, Int64
from usher_scorer.top import top_k

#: As deep as any metric looks.
DEPTH = 20
_DISCOUNT = 1 / np.log2(np.arange(2, 12))


def ranking_metrics(scores: Float32, window: Window) -> dict[str, float]:
    """The means over the users who liked something later; DataError when nobody did."""
    per_user = user_metrics(top_k(scores, DEPTH), window)
    judged = relevant_counts(window) > 0
    if not judged.any():
        raise DataError("nobody liked anything in the second half of the window: there is nothing to rank for")
    return {name: float(values[judged].mean()) for name, values in per_user.items()}


def user_metrics(shown: Int64, window: Window) -> Mapping[str, Float64]:
    """shown (users, up to 20): dense items, -1 for none. Each metric (users,); 0 where nothing is relevant.

    NDCG is binary, against min(10, relevant); MAP@10 divides by the same (Järvelin and Kekäläinen 2002).
    """
    hit = hits(shown, window)
    count = relevant_counts(window)
    ideal = np.concatenate([[0], np.cumsum(_DISCOUNT)])[np.minimum(count, 10)]
    ten = hit[:, :10]
    precision = np.cumsum(ten, axis=1) / np.arange(1, ten.shape[1] + 1)
    return {
        "ndcg@10": _ratio((ten * _DISCOUNT[: ten.shape[1]]).sum(axis=1), ideal),
        "recall@10": _ratio(ten.sum(axis=1), count),
        "recall@20": _ratio(hit.sum(axis=1), count),
        "map@10": _ratio((precision * ten).sum(axis=1), np.minimum(count, 10)),
    }


def hits(shown: Int64, window: Window) -> Bool:
    """Which of the items shown were liked later (users, depth)."""
    relevant = window.relevant
    liked = np.sort(window.later_user[relevant] << 32 | window.later_item[relevant])
    asked = np.arange(len(shown))[:, None] << 32 | np.maximum(shown, 0)
    place = np.minimum(np.searchsorted(liked, asked), max(len(liked) - 1, 0))
    if not len(liked):
        return np.zeros(shown.shape, np.bool_)
    found: Bool = (liked[place] == asked) & (shown >= 0)
    return found


def relevant_counts(window: Window) -> Int64:
    """How many items each user liked later (users,)."""
    return np.bincount(window.later_user[window.relevant], minlength=len(window.users)).astype(np.int64)


def _ratio(value: Float64, by: Float64 | Int64) -> Float64:
    return np.divide(value, by, out=np.zeros(len(value)), where=by > 0)
