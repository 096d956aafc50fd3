"""`knn`: fits nearest neighbours of items, by cosine or inner product of their columns of positives.

Item-based collaborative filtering (Sarwar et al. 2001), the cosine with a shrinkage term in its denominator:
s_ij = x_i . x_j / (|x_i| |x_j| + shrinkage).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from usher_models.artifacts import Artifact
from usher_models.errors import DataError
from usher_models.evaluation.metrics import ranking_metrics
from usher_models.evaluation.window import Window, split_window
from usher_models.ratings import Float32, Float64, Items, Ratings

#: Columns of the item-item matrix made at once.
_BLOCK = 2000


def fit(ratings: Ratings, items: Items, values: Mapping[str, Any]) -> Artifact:
    """The k nearest neighbours of every item (items, k); an item without positives has none."""
    positives = ratings.take(ratings.positive)
    if not len(positives):
        raise DataError(
            "knn: there are no positives (ratings of at least 4, purchases, clicks), so no item is similar to another: "
            "upload more ratings or events"
        )
    sampled = _sample(positives, values["sample_size"], values["seed"])
    shape = (sampled.users, len(items))
    matrix = sp.csr_matrix((_strength(sampled.weights), (sampled.user, sampled.item)), shape)
    near, similarity = _nearest(matrix, min(values["k"], max(len(items) - 1, 1)), values)
    arrays = {"neighbours": near, "similarity": similarity}
    return Artifact({"index_metric": values["index_metric"]}, arrays).checked("knn")


def validate(artifact: Artifact, train: Ratings, validation: Ratings, items: Items) -> Mapping[str, float]:
    """NDCG and recall of ranking by the summed similarity to a profile's positives."""
    window = split_window(train, validation)
    return ranking_metrics(neighbour_scores(artifact, window, len(items)), window)


def neighbour_scores(artifact: Artifact, window: Window, items: int) -> Float32:
    """(users, items): the summed similarity of each item to a profile's positives; -inf for seen items."""
    near, similarity = artifact.arrays["neighbours"], artifact.arrays["similarity"]
    known = near >= 0
    rows = np.repeat(np.arange(items), known.sum(axis=1))
    graph = sp.csr_matrix((similarity[known], (rows, near[known])), (items, items))
    profiles = window.profiles
    strength = _strength(profiles.weights) * profiles.positive
    liked = sp.csr_matrix((strength, (profiles.user, profiles.items)), (len(profiles), items))
    scores: Float32 = (liked @ graph).toarray()
    seen = profiles.seen
    scores[profiles.user[seen], profiles.items[seen]] = -np.inf
    return scores


def _strength(weights: Float64) -> Float32:
    """The weights (rows,) in [0, 1]: a rating from 4 on and a purchase count 1, a click less."""
    return np.clip(weights, 0, 1).astype(np.float32)


def _sample(positives: Ratings, size: int, seed: int) -> Ratings:
    users = np.unique(positives.user)
    if len(users) <= size:
        return positives
    chosen = np.random.default_rng(seed).choice(users, size, replace=False)
    return positives.take(np.isin(positives.user, chosen))


def _nearest(matrix: sp.csr_matrix, k: int, values: Mapping[str, Any]) -> tuple[Any, Float32]:
    """Neighbours (items, k), -1 where there are fewer, and similarities (items, k); a block of items at a time."""
    items = matrix.shape[1]
    near, similarity = np.full((items, k), -1, np.int32), np.zeros((items, k), np.float32)
    columns = sp.csc_matrix(matrix)
    length = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0)).ravel())
    for start in range(0, items, _BLOCK):
        stop = min(start + _BLOCK, items)
        together = (columns[:, start:stop].T @ columns).toarray()
        if values["index_metric"] == "COSINE":
            together = together / (length[start:stop, None] * length + values["shrinkage"] + 1e-9)
        together[np.arange(stop - start), np.arange(start, stop)] = 0
        best = np.argsort(-together, axis=1, kind="stable")[:, :k]
        score = np.take_along_axis(together, best, axis=1)
        near[start:stop] = np.where(score > 0, best, -1)
        similarity[start:stop] = np.where(score > 0, score, 0)
    return near, similarity
