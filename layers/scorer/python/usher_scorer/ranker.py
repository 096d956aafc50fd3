"""Rank: what a user will like next, from the profile alone, so that a new rating counts at once.

`ease`: an item-item matrix in closed form (Steck 2019); `ials`: item factors of implicit ALS (Hu, Koren, Volinsky
2008).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from usher_scorer.errors import BundleError
from usher_scorer.profiles import Float32, Float64, Int64, Profiles

#: A row's weight never falls below this part, however many positives came after it ...
RECENCY_FLOOR = 0.3
#: ... and the rest halves with every so many of them.
RECENCY_HALF_LIFE = 5.0


def recency(ages: Float64) -> Float64:
    """What is left of a row's weight after `ages` positives."""
    return RECENCY_FLOOR + (1 - RECENCY_FLOOR) * 0.5 ** (ages / RECENCY_HALF_LIFE)


class Ranker(Protocol):
    """Scores the items it covers for many profiles at once."""

    @property
    def covered(self) -> Int64:
        """Dense ids of the items it can score (covered,), ascending."""
        ...

    def scores(self, profiles: Profiles) -> Float32:
        """(users, covered): higher is better, 0 is no opinion."""
        ...

    def contributions(self, profile: Profiles, item: int) -> Float32:
        """How much each row of one profile adds to the score of `item` (rows,)."""
        ...


@dataclass(frozen=True)
class EaseRanker:
    """matrix (covered, covered): row = an item rated, column = the item scored; position (items,).

    Place in `covered`, or -1.
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
        parts: Float32 = self._weights(profile) * self.matrix[places, column]
        parts[places < 0] = 0
        return parts


@dataclass(frozen=True)
class FactorRanker:
    """factors (covered, k); gram (k, k) = factors^T factors + regularisation.

    A positive has confidence `alpha` more.
    """

    covered: Int64
    position: Int64
    factors: Float32
    gram: Float32
    alpha: float

    def _system(self, profile: Profiles) -> tuple[Float32, Any, Float64]:
        """The factors of what was rated, A^-1, and the confidence c of each row; the user is A^-1 sum c y.

        A = gram + sum (c - 1) y y^T with c = alpha * weight, as the `implicit` package has it; no weight is not rated.
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
        parts: Float32 = (confidence * (rated @ (inverse @ self.factors[column]))).astype(np.float32)
        return parts


def read_ranker(settings: Mapping[str, Any], arrays: Mapping[str, Any], items: int) -> Ranker:
    """The ranker of a bundle's arrays; BundleError when they do not fit together."""
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
    raise BundleError(f"this bundle's ranker is a {settings.get('kind')!r}, unknown here: update Usher or train again")
