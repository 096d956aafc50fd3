"""Checks for data leakage: the training rows must not hold what is to be predicted.

Two published results on MovieLens show why: a factorization machine's "RMSE 0.30" came from one-hot features that
held the rating itself, and a k-NN's "MSE 3,222,687" from labels that were row numbers.
"""

from __future__ import annotations

import numpy as np

from usher_models.ratings import Float32, Float64, Int32, Int64, Ratings

#: Below this the checks say nothing: few rows look determined by chance.
ROWS_MIN = 100
#: An RMSE below this share of the bias-only RMSE means leakage: the published 0.30 was 0.34 of it,
#: honest models on users' ratings reach 0.8.
RMSE_RATIO_MIN = 0.4
_DETERMINED = 1e-6
_SHARE = 0.95
_CORRELATION = 0.999


def label_findings(ratings: Ratings) -> list[str]:
    """Messages on what is wrong with the labels themselves; empty when nothing is. Events have no label."""
    findings = []
    ratings = ratings.stated
    if looks_like_row_numbers(ratings.value):
        findings.append("the ratings rise with the row number: they are row numbers, not ratings")
    for name, ids in (("user", ratings.user), ("item", ratings.item)):
        if determines(ids, ratings.value):
            findings.append(f"the {name} id alone determines every rating: the label is in the ids")
    return findings


def looks_like_row_numbers(labels: Float32 | Float64) -> bool:
    """Whether the labels are distinct values on a straight line over the rows."""
    values = np.asarray(labels, np.float64)
    if len(values) < ROWS_MIN or len(np.unique(values)) < 0.99 * len(values):
        return False
    return bool(abs(np.corrcoef(values, np.arange(len(values)))[0, 1]) > _CORRELATION)


def determines(ids: Int32 | Int64, labels: Float32 | Float64) -> bool:
    """Whether nearly all ids that occur more than once have one label each, though labels differ between ids."""
    values = np.asarray(labels, np.float64)
    count = np.bincount(ids)
    mean = np.bincount(ids, values) / np.maximum(count, 1)
    repeated = count[ids] > 1
    if repeated.sum() < ROWS_MIN or np.var(values[repeated]) < _DETERMINED:
        return False
    constant = np.abs(values - mean[ids])[repeated] < _DETERMINED**0.5
    return bool(constant.mean() > _SHARE)


def window_findings(
    fitted_until_us: int, champion_until_us: int, start_us: int, before: Ratings, inside: Ratings
) -> list[str]:
    """Messages on rows of the window that a model was fitted on. *_until_us: its last row; 0: no champion."""
    findings = []
    if fitted_until_us >= start_us:
        findings.append("the candidate was fitted on rows of the window")
    if champion_until_us > start_us:
        findings.append("the window begins before the end of what the champion was trained on")
    if len(before) and len(inside) and before.time_us.max() >= inside.time_us.min():
        findings.append("training rows are as late as the window")
    if _share_a_row(before, inside):
        findings.append("rows of the window are among the training rows")
    return findings


def too_good(rmse: float, bias_only_rmse: float) -> list[str]:
    """A message on a rating error so small that the label must be in the features."""
    if bias_only_rmse > 0.1 and rmse < RMSE_RATIO_MIN * bias_only_rmse:
        return [f"an RMSE of {rmse:.4f} where offsets alone reach {bias_only_rmse:.4f}: the label is in the features"]
    return []


def _share_a_row(before: Ratings, inside: Ratings) -> bool:
    """Whether the same user, item and time is on both sides; another interaction with the same item is another row."""
    rows = before.join(inside)
    side = np.repeat([0, 1], [len(before), len(inside)])
    order = np.lexsort((side, rows.time_us, rows.pairs))
    pairs, times, sides = rows.pairs[order], rows.time_us[order], side[order]
    return bool(((np.diff(pairs) == 0) & (np.diff(times) == 0) & (np.diff(sides) != 0)).any())
