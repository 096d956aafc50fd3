"""Scores of the whole catalogue for many users at once, and the best of them; a request and the evaluation share it."""

from __future__ import annotations

import numpy as np

from usher_scorer.bundle import Bundle
from usher_scorer.profiles import Bool, Float32, Int64, Profiles

#: The share of the regression's slope that counts; with all of it content displaces the ranker (P4: 0.130 for 0.134).
SHRINKAGE = np.float32(0.5)


def relevance(bundle: Bundle, profiles: Profiles) -> tuple[Float32, Bool]:
    """Scores (users, items), higher is better, -inf for seen items; and for which users they are personal (users,).

    Users of whom the models know nothing get the scores of popularity.
    """
    scores = _personal(bundle, profiles)
    informed = scores.max(axis=1, initial=-np.inf) > scores.min(axis=1, initial=np.inf)
    scores[~informed] = bundle.popularity.all
    seen = profiles.seen
    scores[profiles.user[seen], profiles.items[seen]] = -np.inf
    return scores, informed


def _personal(bundle: Bundle, profiles: Profiles) -> Float32:
    """(users, items): each user is scored by the first ranker that knows them, or else by content alone."""
    count = len(bundle.catalogue)
    content = bundle.content.scores(profiles) if bundle.content else np.zeros((len(profiles), count), np.float32)
    scores = content
    for ranker in reversed(bundle.rankers):
        if len(ranker.covered):
            scores = _ranked(ranker.scores(profiles), ranker.covered, content, scores)
    return scores


def _ranked(ranked: Float32, covered: Int64, content: Float32, fallback: Float32) -> Float32:
    """(users, items): a ranker's scores (users, covered), and of the items outside it what their content predicts.

    That prediction is the user's own linear regression of the ranker's scores on the content scores, shrunk. Users of
    whom the ranker knows nothing (a row of zeros) keep `fallback` (users, items).
    """
    scores = _expected(ranked, content, covered)
    scores[:, covered] = ranked
    unknown = ~ranked.any(axis=1)
    scores[unknown] = fallback[unknown]
    return scores


def _expected(ranked: Float32, content: Float32, covered: Int64) -> Float32:
    """The ranker's scores as predicted from content (users, items)."""
    x = content[:, covered]
    x_mean, y_mean = x.mean(axis=1, keepdims=True), ranked.mean(axis=1, keepdims=True)
    x -= x_mean
    slope = np.einsum("pi,pi->p", x, ranked - y_mean) / np.maximum(np.einsum("pi,pi->p", x, x), 1e-12)
    expected: Float32 = y_mean + SHRINKAGE * np.maximum(slope, 0).astype(np.float32)[:, None] * (content - x_mean)
    return expected


def top_k(scores: Float32, k: int) -> Int64:
    """Indices of the k highest scores (..., items) in descending order, by row; -inf marks items that may not be shown.

    Equal scores keep the order of their indices, so that the result does not depend on the machine. Where fewer than k
    are finite, the remaining places hold -1 (in the one-row form they are left out).
    """
    rows = np.atleast_2d(scores)
    k = min(k, rows.shape[1])
    if k < rows.shape[1] // 2:
        top = np.sort(np.argpartition(rows, -k, axis=1)[:, -k:], axis=1)
        lowest = np.take_along_axis(rows, top, 1).min(axis=1)
        _settle_ties(rows, top, lowest)
    else:
        top = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    values = np.take_along_axis(rows, top, 1)
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    best = np.where(np.take_along_axis(values, order, 1) > -np.inf, np.take_along_axis(top, order, 1), -1)
    return best if scores.ndim > 1 else best[0][best[0] >= 0]


def _settle_ties(rows: Float32, top: Int64, lowest: Float32) -> None:
    """Of scores equal to the lowest of the top, take those with the lower indices, in place."""
    shown = (np.take_along_axis(rows, top, 1) == lowest[:, None]).sum(axis=1)
    for row in np.flatnonzero((rows == lowest[:, None]).sum(axis=1) > shown):
        above = top[row][rows[row, top[row]] > lowest[row]]
        equal = np.flatnonzero(rows[row] == lowest[row])[: top.shape[1] - len(above)]
        top[row] = np.sort(np.concatenate([above, equal]))
