"""Slices: the same metrics for parts of the users and of the catalogue, where an average hides a harm."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from usher_models.evaluation.judge import Judged
from usher_models.evaluation.ranking import hits, relevant_counts
from usher_models.evaluation.window import Window
from usher_models.ratings import Bool, Float64, Ratings

#: Bounds of a profile's length.
ACTIVITY = (("up to 9 rows", 0, 9), ("10 to 49 rows", 10, 49), ("50 or more rows", 50, 2**62))
#: The most popular tenth of the rated items is the head, the next four tenths the middle, the rest the tail.
_HEAD, _MIDDLE = 0.1, 0.5


def user_slices(window: Window) -> Mapping[str, Bool]:
    """Name → who belongs to it (users,)."""
    length = np.diff(window.profiles.pointer)
    slices: dict[str, Bool] = {name: (length >= low) & (length <= high) for name, low, high in ACTIVITY}
    return {**slices, "new users": ~window.known, "known users": window.known}


def user_report(judged: Judged, window: Window) -> dict[str, dict[str, float]]:
    """NDCG@10 and recall@20 of each slice of users who liked something later; empty slices are left out."""
    relevant = relevant_counts(window) > 0
    report = {}
    for name, members in user_slices(window).items():
        chosen = members & relevant
        if chosen.any():
            report[name] = {
                "users": int(chosen.sum()),
                "ndcg@10": float(judged.metrics["ndcg@10"][chosen].mean()),
                "recall@20": float(judged.metrics["recall@20"][chosen].mean()),
            }
    return report


def item_report(judged: Judged, window: Window, before: Ratings, items: int) -> dict[str, dict[str, float]]:
    """Recall@20 over all liked rows whose item is in the head, the middle or the tail before the split, or new."""
    group = _item_groups(before, items)
    hit = hits(judged.shown, window)
    found = np.bincount(group[judged.shown[hit]], minlength=4)
    liked = np.bincount(group[window.later_item[window.relevant]], minlength=4)
    names = ("head items", "middle items", "tail items", "new items")
    return {
        name: {"rows": int(liked[n]), "recall@20": float(found[n] / liked[n])}
        for n, name in enumerate(names)
        if liked[n]
    }


def catalogue_report(judged: Judged, before: Ratings, items: int) -> dict[str, float]:
    """coverage@10: the part of the catalogue shown to anyone.

    novelty@10: mean -log2 of the part of users who rated it.

    Novelty after Vargas and Castells (2011); an item that nobody rated counts as half a user.
    """
    shown = judged.shown[:, :10]
    shown = shown[shown >= 0]
    if not len(shown):
        return {"coverage@10": 0.0, "novelty@10": 0.0}
    share = np.maximum(np.bincount(before.item, minlength=items), 0.5) / max(len(np.unique(before.user)), 1)
    surprise: Float64 = -np.log2(np.minimum(share, 1))
    return {"coverage@10": float(len(np.unique(shown)) / items), "novelty@10": float(surprise[shown].mean())}


def _item_groups(before: Ratings, items: int) -> np.ndarray:
    """0 head, 1 middle, 2 tail, 3 never rated before the split (items,)."""
    count = np.bincount(before.item, minlength=items)
    rated = np.flatnonzero(count)
    order = rated[np.argsort(-count[rated], kind="stable")]
    group = np.full(items, 3)
    bounds = [0, int(np.ceil(len(order) * _HEAD)), int(np.ceil(len(order) * _MIDDLE)), len(order)]
    for n in range(3):
        group[order[bounds[n] : bounds[n + 1]]] = n
    return group
