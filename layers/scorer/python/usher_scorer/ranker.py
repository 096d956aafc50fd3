"""Rankers: score items from the profile alone, so that a new rating counts in the next request.

`ease`: an item-item matrix in closed form (Steck 2019); `ials`: item factors of implicit ALS (Hu, Koren, Volinsky
2008), users folded in by its equation 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from usher_scorer.components import Ranker
from usher_scorer.errors import BundleError
from usher_scorer.profiles import Float32, Float64, Int64, Profiles, recency


@dataclass(frozen=True)
class EaseRanker:
    """matrix (covered, covered): row = an item of the profile, column = the item scored; position (items,): an item's
    place in `covered`, or -1.
    """

    covered: Int64
    position: Int64
    matrix: Float32

    def _weights(self, profiles: Profiles) -> Float32:
        return (profiles.weights * recency(profiles.ages)).astype(np.float32)

    def scores(self, profiles: Profiles) -> Float32:
        places, weights = self.position[profiles.items], self._weights(profiles)
        known = places >= 0
        if len(profiles) == 1:
            return (weights[known] @ self.matrix[places[known]])[None]
        rows = np.zeros((len(profiles), len(self.covered)), np.float32)
        np.add.at(rows, (profiles.user[known], places[known]), weights[known])
        return rows @ self.matrix

    def contributions(self, profile: Profiles, item: int) -> Float32:
        places, column = self.position[profile.items], self.position[item]
        if column < 0:
            return np.zeros(len(places), np.float32)
        added: Float32 = self._weights(profile) * self.matrix[places, column]
        added[places < 0] = 0
        return added


@dataclass(frozen=True)
class FactorRanker:
    """factors (covered, k); gram (k, k) = factors^T factors + regularization; alpha: confidence per unit of weight."""

    covered: Int64
    position: Int64
    factors: Float32
    gram: Float32
    alpha: float

    def _system(self, profile: Profiles) -> tuple[Float32, Any, Float64]:
        """Factors y (rows, k) of the profile's items, A^-1 (k, k), confidence c (rows,); the user is A^-1 sum c y.

        A = gram + sum (c - 1) y y^T with c = alpha * weight, as in the `implicit` package; rows of weight 0 or less are
        left out.
        """
        places = self.position[profile.items]
        confidence = self.alpha * np.maximum(profile.weights, 0) * recency(profile.ages) * (places >= 0)
        rated = self.factors[np.maximum(places, 0)]
        a = self.gram + (rated.T * np.where(confidence > 0, confidence - 1, 0)) @ rated
        return rated, np.linalg.inv(a), confidence

    def scores(self, profiles: Profiles) -> Float32:
        vectors = np.empty((len(profiles), self.factors.shape[1]), np.float32)
        for user in range(len(profiles)):
            rated, inverse, confidence = self._system(profiles.slice(user, user + 1))
            vectors[user] = inverse @ (rated.T @ confidence)
        scores: Float32 = vectors @ self.factors.T
        return scores

    def contributions(self, profile: Profiles, item: int) -> Float32:
        column = self.position[item]
        if column < 0:
            return np.zeros(len(profile.items), np.float32)
        rated, inverse, confidence = self._system(profile)
        added: Float32 = (confidence * (rated @ (inverse @ self.factors[column]))).astype(np.float32)
        return added


def read_ranker(settings: Mapping[str, Any], arrays: Mapping[str, Any], items: int) -> Ranker:
    """The ranker from a bundle's arrays; BundleError when their shapes are not consistent."""
    covered = np.asarray(arrays["covered"], np.int64)
    if (
        covered.ndim != 1
        or (np.diff(covered) <= 0).any()
        or (len(covered) and not 0 <= covered[0] <= covered[-1] < items)
    ):
        raise BundleError(
            "ranker/covered.npy does not hold ascending item numbers of this bundle: make the bundle again"
        )
    position = np.full(items, -1, np.int64)
    position[covered] = np.arange(len(covered))
    n = len(covered)
    if settings.get("kind") == "ease":
        if arrays["matrix"].shape != (n, n):
            raise BundleError(f"ranker/matrix.npy is {arrays['matrix'].shape}, not {(n, n)}: make the bundle again")
        return EaseRanker(covered, position, arrays["matrix"])
    if settings.get("kind") == "ials":
        factors, gram = arrays["factors"], arrays["gram"]
        if factors.ndim != 2 or len(factors) != n or gram.shape != (factors.shape[1],) * 2:
            raise BundleError(f"ranker/factors.npy is {factors.shape}, gram {gram.shape}: make the bundle again")
        return FactorRanker(covered, position, factors, np.asarray(gram), float(settings["alpha"]))
    raise BundleError(f"the bundle's ranker has the unknown kind {settings.get('kind')!r}: update Usher or train again")
