"""Metrics by slice of the users and of the catalogue, since an average can hide a harm."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from usher_models.evaluation.bundle_scores import ModelResult
from usher_models.evaluation.metrics import hits, relevant_counts
from usher_models.evaluation.window import Window
from usher_models.ratings import Bool, Float64, Ratings

#: Bounds of a profile's length.
ACTIVITY = (("up to 9 rows", 0, 9), ("10 to 49 rows", 10, 49), ("50 or more rows", 50, 2**62))
#: The most popular tenth of the rated items is the head, the next four tenths the middle, the rest the tail.
_HEAD, _MIDDLE = 0.1, 0.5


def user_slices(window: Window) -> Mapping[str, Bool]:
    """Name → which users belong to the slice (users,)."""
    length = np.diff(window.profiles.pointer)
    slices: dict[str, Bool] = {name: (length >= low) & (length <= high) for name, low, high in ACTIVITY}
    return {**slices, "new users": ~window.known, "known users": window.known}


def user_report(result: ModelResult, window: Window) -> dict[str, dict[str, float]]:
    """NDCG@10 and recall@20 of each slice, over users with a later positive; empty slices are left out."""
    relevant = relevant_counts(window) > 0
    report = {}
    for name, members in user_slices(window).items():
        chosen = members & relevant
        if chosen.any():
            report[name] = {
                "users": int(chosen.sum()),
                "ndcg@10": float(result.metrics["ndcg@10"][chosen].mean()),
                "recall@20": float(result.metrics["recall@20"][chosen].mean()),
            }
    return report


def item_report(result: ModelResult, window: Window, before: Ratings, items: int) -> dict[str, dict[str, float]]:
    """Recall@20 of the later positives, by popularity of the item before the split: head, middle, tail or new."""
    group = _item_groups(before, items)
    hit = hits(result.shown, window)
    found = np.bincount(group[result.shown[hit]], minlength=4)
    liked = np.bincount(group[window.later_item[window.relevant]], minlength=4)
    names = ("head items", "middle items", "tail items", "new items")
    return {
        name: {"rows": int(liked[n]), "recall@20": float(found[n] / liked[n])}
        for n, name in enumerate(names)
        if liked[n]
    }


def catalogue_report(result: ModelResult, before: Ratings, items: int) -> dict[str, float]:
    """coverage@10: the share of the catalogue that is recommended to at least one user; novelty@10: the mean of
    -log2 p, p the share of users with the item before the split (Vargas and Castells 2011), at least half a user.
    """
    shown = result.shown[:, :10]
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
