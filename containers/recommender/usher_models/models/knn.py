"""`knn`: items that the same users liked, by cosine or inner product of their columns of positives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from usher_models.algorithm import Fitted
from usher_models.errors import DataError
from usher_models.evaluation.ranking import ranking_metrics
from usher_models.evaluation.window import Window, split_window
from usher_models.hyperparameters import Parameter
from usher_models.ratings import Float32, Float64, Items, Ratings

#: Columns of the item-item matrix made at once.
_BLOCK = 2000


class NearestNeighbours:
    """Hyperparameters with the names of SageMaker's built-in algorithm."""

    name = "knn"
    parameters: Sequence[Parameter] = (
        Parameter("k", "integer", 100, "neighbours kept of each item; no more than there are other items", 1, 1024),
        Parameter("sample_size", "integer", 1_000_000, "users looked at; a random sample of more", 1, 100_000_000),
        Parameter("index_metric", "categorical", "COSINE", "what near means", choices=("COSINE", "INNER_PRODUCT")),
        Parameter("shrinkage", "continuous", 10.0, "added to a pair's support: chance neighbours sink", 0, 10_000),
    )

    def fit(self, ratings: Ratings, items: Items, values: Mapping[str, Any]) -> Fitted:
        """The k nearest of every item; an item nobody liked has none."""
        positives = ratings.take(ratings.positive)
        if not len(positives):
            raise DataError(
                "knn: nobody liked anything (no rating of at least 4, no purchase or click), so no item is near another"
            )
        sampled = _sample(positives, values["sample_size"], values["seed"])
        shape = (sampled.users, len(items))
        matrix = sp.csr_matrix((_strength(sampled.weights), (sampled.user, sampled.item)), shape)
        near, similarity = _nearest(matrix, min(values["k"], max(len(items) - 1, 1)), values)
        return Fitted({"index_metric": values["index_metric"]}, {"neighbours": near, "similarity": similarity}).checked(
            self.name
        )

    def validate(self, fitted: Fitted, train: Ratings, validation: Ratings, items: Items) -> Mapping[str, float]:
        """NDCG and recall of ranking by the summed similarity to what was liked."""
        window = split_window(train, validation)
        return ranking_metrics(neighbour_scores(fitted, window, len(items)), window)


def neighbour_scores(fitted: Fitted, window: Window, items: int) -> Float32:
    """(users, items): the summed similarity of each item to a profile's positives; -inf for what was seen."""
    near, similarity = fitted.arrays["neighbours"], fitted.arrays["similarity"]
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
    """A rating from 4 on and a purchase are a whole positive, a click is less of one."""
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
