"""Metrics of a window: ranking (NDCG, recall, MAP), rating (RMSE, MAE), and paired intervals of their differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from usher_models.errors import DataError
from usher_models.evaluation.window import Window
from usher_models.ratings import Bool, Float32, Float64, Int32, Int64, Ratings
from usher_scorer.components import Rater
from usher_scorer.ranking import top_k

#: The depth of the deepest metric.
DEPTH = 20
_DISCOUNT = 1 / np.log2(np.arange(2, 12))
#: A user's or an item's mean offset is shrunk to 0 by this many ratings, in the bias-only baseline.
BIAS_SHRINKAGE = 5.0
#: Bootstrap resamples of the users.
RESAMPLES = 4000
_CHUNK_CELLS = 4_000_000


def ranking_metrics(scores: Float32, window: Window) -> dict[str, float]:
    """Means over the users with a positive in the later rows; DataError when there are none. scores (users, items)."""
    per_user = user_metrics(top_k(scores, DEPTH), window)
    judged = relevant_counts(window) > 0
    if not judged.any():
        raise DataError("the second half of the window has no positive, so ranking cannot be measured: add more data")
    return {name: float(values[judged].mean()) for name, values in per_user.items()}


def user_metrics(shown: Int64, window: Window) -> Mapping[str, Float64]:
    """shown (users, up to 20): dense items, -1 for none. Each metric (users,); 0 where nothing is relevant.

    NDCG@10 (Järvelin and Kekäläinen 2002) with binary relevance, the ideal from min(10, relevant); MAP@10 divides by
    the same.
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
    """Whether each recommended item is a positive of the later rows (users, depth)."""
    relevant = window.relevant
    liked = np.sort(window.later_user[relevant] << 32 | window.later_item[relevant])
    wanted = np.arange(len(shown))[:, None] << 32 | np.maximum(shown, 0)
    place = np.minimum(np.searchsorted(liked, wanted), max(len(liked) - 1, 0))
    if not len(liked):
        return np.zeros(shown.shape, np.bool_)
    found: Bool = (liked[place] == wanted) & (shown >= 0)
    return found


def relevant_counts(window: Window) -> Int64:
    """The number of positives in each user's later rows (users,)."""
    return np.bincount(window.later_user[window.relevant], minlength=len(window.users)).astype(np.int64)


def _ratio(value: Float64, by: Float64 | Int64) -> Float64:
    return np.divide(value, by, out=np.zeros(len(value)), where=by > 0)


def predict_rows(rater: Rater, window: Window) -> Float64:
    """Predictions of the later ratings (later ratings,), each user folded in once."""
    item, owner = window.later_item[window.stated], window.later_user[window.stated]
    out = np.empty(len(item))
    bounds = np.searchsorted(owner, np.arange(len(window.users) + 1))
    for user in np.unique(owner).tolist():
        rows = slice(bounds[user], bounds[user + 1])
        row = rater.fold_in(window.profiles.slice(user, user + 1))
        out[rows] = rater.ratings(row, item[rows])
    return out


def bias_only(before: Ratings, window: Window) -> Float64:
    """The baseline's predictions (later ratings,): mean rating + the item's offset before the split + the user's offset
    in the profile.
    """
    before = before.stated
    average = float(before.value.mean(dtype=np.float64)) if len(before) else 3.5
    items = (
        int(max(before.item.max(initial=0), window.later_item.max(initial=0), window.profiles.items.max(initial=0))) + 1
    )
    item = _offsets(before.item, before.value - average, items)
    profiles, stated = window.profiles, window.profiles.stated
    residual = (profiles.values - average - item[profiles.items])[stated]
    user = _offsets(profiles.user[stated], residual, len(window.users))
    return average + user[window.later_user[window.stated]] + item[window.later_item[window.stated]]


def rating_metrics(predicted: Float64, actual: Float32) -> dict[str, float]:
    """RMSE and MAE; DataError without a rating."""
    if not len(actual):
        raise DataError("the window has no later ratings, so rating errors cannot be measured: add more ratings")
    error = predicted - actual
    return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}


def _offsets(index: Int32 | Int64, residual: Float32 | Float64, count: int) -> Float64:
    total = np.bincount(index, residual, minlength=count)
    return total / (np.bincount(index, minlength=count) + BIAS_SHRINKAGE)


@dataclass(frozen=True, slots=True)
class Interval:
    """The mean of the paired differences and its 95 % percentile interval."""

    mean: float
    low: float
    high: float

    def fields(self) -> dict[str, float]:
        return {"mean": self.mean, "low": self.low, "high": self.high}


def paired_interval(first: Float64, second: Float64, seed: int) -> Interval:
    """The interval of first - second (users,), users drawn with replacement (bootstrap, Efron 1979), seeded."""
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
