"""Popularity: how many liked an item, over all time and lately.

Fitted in every run, and what the gate compares with.
"""

from __future__ import annotations

import numpy as np

from usher_models.algorithm import Fitted
from usher_models.ratings import Float64, Items, Ratings

RECENT_US = 365 * 86_400 * 1_000_000
#: The recent share of an item counts against the all-time share as if that had been seen on so many recent positives.
PRIOR_POSITIVES = 1000.0
#: An item's share of positives is pulled to the average share by so many ratings: it breaks ties among equal counts.
PRIOR_RATINGS = 10.0


def fit_popularity(ratings: Ratings, items: Items) -> Fitted:
    """`all`: positives plus the shrunk share of positives (below 1); `recent`.

    The same shape from the last 365 days.
    """
    positives = _counts(ratings.take(ratings.positive), items)
    shrunk_share = _shrunk_share(positives, _counts(ratings, items))
    start = int(ratings.time_us.max(initial=0)) - RECENT_US
    lately = _counts(ratings.take(ratings.positive & (ratings.time_us > start)), items)
    share = positives / max(positives.sum(), 1)
    recent = (lately + PRIOR_POSITIVES * share) / (lately.sum() + PRIOR_POSITIVES)
    arrays = {"all": (positives + shrunk_share).astype(np.float32), "recent": recent.astype(np.float32)}
    return Fitted({"recent_days": RECENT_US // 86_400_000_000}, arrays).checked("popularity")


def _counts(ratings: Ratings, items: Items) -> Float64:
    return np.bincount(ratings.item, minlength=len(items)).astype(np.float64)


def _shrunk_share(positives: Float64, rated: Float64) -> Float64:
    average = positives.sum() / max(rated.sum(), 1)
    share: Float64 = (positives + PRIOR_RATINGS * average) / (rated + PRIOR_RATINGS)
    return share * 0.999
