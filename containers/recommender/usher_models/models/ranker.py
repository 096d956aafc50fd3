"""`ranker`: fits the model that orders the catalogue: EASE in closed form, implicit ALS for a large catalogue.

EASE^R (Steck 2019, equation 8): B = I - P diag(1/P), P = (X^T X + lambda I)^-1, X (users, covered) the weights of what
users rated and did with covered items.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

from usher_models.artifacts import Artifact
from usher_models.errors import DataError, FitError
from usher_models.evaluation.metrics import ranking_metrics
from usher_models.evaluation.window import split_window
from usher_models.models.baselines import item_features
from usher_models.ratings import Float32, Int64, Items, Ratings
from usher_scorer.ranker import read_ranker

#: How many users' ratings a shared feature is worth; chosen on P4's and P5's validation windows.
SIDE_WEIGHTS: Mapping[str, float] = {"genres": 25.0, "years": 24.0, "tags": 4.0}


def fit(ratings: Ratings, items: Items, values: Mapping[str, Any]) -> Artifact:
    """Fit on the items with at least min_positives positives; DataError when there are none."""
    positives = np.bincount(ratings.item[ratings.positive], minlength=len(items))
    covered = np.flatnonzero(positives >= values["min_positives"])
    if not len(covered):
        raise DataError(
            f"ranker: no item has {values['min_positives']} ratings of at least 4, purchases or clicks (of "
            f"{len(ratings)} rows in all); more data or a lower min_positives is needed"
        )
    large = len(covered) > values["max_items"]
    method = values["method"] if values["method"] != "auto" else "ials" if large else "ease"
    weighted = _weighted(ratings, covered, len(items))
    if method == "ials":
        return _fit_ials(weighted, covered, values).checked("ranker")
    side = values["side_weight"] * _side_gram(items, covered)
    return _fit_ease(weighted, covered, side, values["regularization"]).checked("ranker")


def validate(artifact: Artifact, train: Ratings, validation: Ratings, items: Items) -> Mapping[str, float]:
    """NDCG and recall as the gate measures them: a profile is what came before and the first half of the window."""
    window = split_window(train, validation)
    ranker = read_ranker(artifact.settings, artifact.arrays, len(items))
    scores = np.full((len(window.users), len(items)), -np.inf, np.float32)
    scores[:, ranker.covered] = ranker.scores(window.profiles)
    seen = window.profiles.seen
    scores[window.profiles.user[seen], window.profiles.items[seen]] = -np.inf
    return ranking_metrics(scores, window)


def _weighted(ratings: Ratings, covered: Int64, items: int) -> sp.csr_matrix:
    """X (users, covered): the rows' weights."""
    place = np.full(items, -1, np.int64)
    place[covered] = np.arange(len(covered))
    rows = place[ratings.item] >= 0
    weights = ratings.weights[rows].astype(np.float32)
    return sp.csr_matrix((weights, (ratings.user[rows], place[ratings.item[rows]])), (ratings.users, len(covered)))


def _side_gram(items: Items, covered: Int64) -> Float32:
    """F^T F (covered, covered) of the items' features, as if they were further users (models.md, Ranking, point 2).

    A shared word counts in full, however many others an item has; years by how far their Gaussians overlap.
    """
    total = np.zeros((len(covered), len(covered)), np.float32)
    for name, group in item_features(items).items():
        own = group[covered]
        if name != "years":
            own.data[:] = 1
        total += np.float32(SIDE_WEIGHTS[name]) * (own @ own.T).toarray()
    return total


def _fit_ease(weighted: sp.csr_matrix, covered: Int64, side: Float32, regularization: float) -> Artifact:
    gram = np.asfortranarray((weighted.T @ weighted).toarray() + side, np.float32)
    return Artifact({"kind": "ease"}, {"covered": covered, "matrix": ease(gram, regularization)})


def ease(gram: Float32, regularization: float) -> Float32:
    """B (items, items) with a zero diagonal, by a float32 Cholesky inverse; FitError when singular.

    `gram` is overwritten.
    """
    gram[np.diag_indices(len(gram))] += np.float32(regularization)
    factor, failed = lapack.spotrf(gram, overwrite_a=1)
    inverse, failed_too = lapack.spotri(factor, overwrite_c=1)
    if failed or failed_too:
        raise FitError("ranker: the item-item matrix is singular; a higher regularization makes it regular")
    inverse = np.triu(inverse) + np.triu(inverse, 1).T
    weights: Float32 = np.ascontiguousarray(inverse / -np.diag(inverse))
    np.fill_diagonal(weights, 0)
    return weights


def _fit_ials(weighted: sp.csr_matrix, covered: Int64, values: Mapping[str, Any]) -> Artifact:
    """Implicit ALS (Hu, Koren, Volinsky 2008) on the positive weights; users are folded in at the request."""
    # Imported here: half a second that only large catalogues pay.
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    regularization = values["regularization"] / 30
    liked = weighted.maximum(0).tocsr()
    liked.eliminate_zeros()
    with threadpool_limits(1, "blas"):  # its own threads and BLAS's would fight
        model = AlternatingLeastSquares(
            factors=values["num_factors"],
            regularization=regularization,
            alpha=values["alpha"],
            iterations=values["epochs"],
            random_state=values["seed"],
            num_threads=len(os.sched_getaffinity(0)),
            use_cg=False,
        )
        model.fit(liked, show_progress=False)
    factors = np.ascontiguousarray(model.item_factors, np.float32)
    gram = factors.T @ factors + np.float32(regularization) * np.eye(factors.shape[1], dtype=np.float32)
    return Artifact({"kind": "ials", "alpha": values["alpha"]}, {"covered": covered, "factors": factors, "gram": gram})
