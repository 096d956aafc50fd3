"""Rating metrics: RMSE and MAE over the later ratings of a window, users folded in on their profiles."""

from __future__ import annotations

import numpy as np

from usher_models.errors import DataError
from usher_models.evaluation.window import Window
from usher_models.ratings import Float32, Float64, Int32, Int64, Ratings
from usher_scorer.rater import Rater

#: Ratings that a user's or an item's mean offset is pulled to 0 by, in the bias-only baseline.
BIAS_SHRINKAGE = 5.0


def predict_rows(rater: Rater, window: Window) -> Float64:
    """The prediction of every later rating (ratings,)."""
    item, whose = window.later_item[window.stated], window.later_user[window.stated]
    out = np.empty(len(item))
    bounds = np.searchsorted(whose, np.arange(len(window.users) + 1))
    for user in np.unique(whose).tolist():
        rows = slice(bounds[user], bounds[user + 1])
        row = rater.fold_in(window.profiles.slice(user, user + 1))
        out[rows] = rater.ratings(row, item[rows])
    return out


def bias_only(before: Ratings, window: Window) -> Float64:
    """The later ratings predicted by the average, the item's offset before the split and the user's in the
    profile.
    """
    before = before.stated
    average = float(before.value.mean(dtype=np.float64)) if len(before) else 3.5
    items = (
        int(max(before.item.max(initial=0), window.later_item.max(initial=0), window.profiles.items.max(initial=0))) + 1
    )
    item = _offsets(before.item, before.value - average, items)
    profiles, told = window.profiles, window.profiles.stated
    residual = (profiles.values - average - item[profiles.items])[told]
    user = _offsets(profiles.user[told], residual, len(window.users))
    return average + user[window.later_user[window.stated]] + item[window.later_item[window.stated]]


def rating_metrics(predicted: Float64, actual: Float32) -> dict[str, float]:
    """RMSE and MAE; DataError without a rating."""
    if not len(actual):
        raise DataError("the window has no later ratings: there is nothing to predict")
    error = predicted - actual
    return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}


def _offsets(index: Int32 | Int64, residual: Float32 | Float64, count: int) -> Float64:
    total = np.bincount(index, residual, minlength=count)
    return total / (np.bincount(index, minlength=count) + BIAS_SHRINKAGE)
