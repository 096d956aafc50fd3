"""Recommendations and predicted ratings of a whole bundle, as it would serve them, for every user of the window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from usher_models.evaluation.metrics import DEPTH, predict_rows, user_metrics
from usher_models.evaluation.window import Window
from usher_models.ratings import Float32, Float64, Int64
from usher_scorer.bundle import Bundle
from usher_scorer.profiles import Profiles
from usher_scorer.ranking import relevance, top_k

#: Users scored at once: 512 rows of 10,000 items are 20 MB.
CHUNK = 512


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model on one window.

    shown (users, 20): recommended items by the window's dense ids, -1 for none or one that the window does not have;
    metrics: name → (users,); predicted (later ratings,): None without a model that predicts ratings.
    """

    shown: Int64
    metrics: Mapping[str, Float64]
    predicted: Float64 | None


def score_bundle(bundle: Bundle, window: Window, item_ids: tuple[str, ...]) -> ModelResult:
    """Rank the full catalogue for each user, without sampled negatives. item_ids: ids of the window's dense items.

    A bundle with other dense ids, as an older champion has, is translated by item ids; items that it does not have are
    neither in its profiles nor in its recommendations.
    """
    own = bundle.catalogue.ids == item_ids
    to_bundle = np.arange(len(item_ids)) if own else _translate(item_ids, bundle.catalogue.dense)
    seen = window if own else _through(window, to_bundle)
    shown = top(lambda profiles: relevance(bundle, profiles)[0], seen.profiles)
    if not own:
        back = _translate(bundle.catalogue.ids, {item_id: n for n, item_id in enumerate(item_ids)})
        shown = np.where(shown >= 0, back[np.maximum(shown, 0)], -1)
    rates = bundle.rater is not None and not bundle.rater.binary
    predicted = predict_rows(bundle.rater, seen) if bundle.rater is not None and rates else None
    return ModelResult(shown, user_metrics(shown, window), predicted)


def score_popularity(scores: Float32, window: Window) -> ModelResult:
    """The same for scores (items,) that are equal for all users: popularity."""

    def unseen(profiles: Profiles) -> Float32:
        rows = np.tile(scores, (len(profiles), 1))
        seen = profiles.seen
        rows[profiles.user[seen], profiles.items[seen]] = -np.inf
        return rows

    shown = top(unseen, window.profiles)
    return ModelResult(shown, user_metrics(shown, window), None)


def top(score: Callable[[Profiles], Float32], profiles: Profiles) -> Int64:
    """The best items of every user (users, 20), a chunk of users at a time."""
    chunks = [
        top_k(score(profiles.slice(start, min(start + CHUNK, len(profiles)))), DEPTH)
        for start in range(0, len(profiles), CHUNK)
    ]
    return np.concatenate(chunks) if chunks else np.zeros((0, DEPTH), np.int64)


def _translate(ids: tuple[str, ...], dense: Mapping[str, int]) -> Int64:
    return np.array([dense.get(item_id, -1) for item_id in ids], np.int64)


def _through(window: Window, to_bundle: Int64) -> Window:
    """The window in another bundle's dense ids; -1 for later items that the bundle does not have."""
    profiles = window.profiles
    items = to_bundle[profiles.items]
    known = items >= 0
    rows = (profiles.user[known], items[known], profiles.values[known], profiles.times_us[known])
    mapped = Profiles.gather(*rows, len(profiles), profiles.kinds[known])
    return replace(window, profiles=mapped, later_item=to_bundle[window.later_item])
