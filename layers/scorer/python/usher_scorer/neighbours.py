"""Similar items: each item's nearest neighbours, as k-NN found them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from usher_scorer.errors import BundleError
from usher_scorer.profiles import Float32, Int64


@dataclass(frozen=True)
class Neighbours:
    """items (items, k): the nearest, in descending order, -1 where there are fewer; similarity (items, k)."""

    items: Int64
    similarity: Float32

    def scores(self, item: int, count: int) -> Float32:
        """(count,): the similarity of every item to `item`, -inf for those that are not near."""
        out = np.full(count, -np.inf, np.float32)
        known = np.asarray(self.items[item]) >= 0
        out[self.items[item][known]] = self.similarity[item][known]
        return out


def read_neighbours(settings: Mapping[str, Any], arrays: Mapping[str, Any], items: int) -> Neighbours:  # noqa: ARG001 - one signature for all parts
    """The k-NN part of a bundle's arrays; BundleError when they do not fit together."""
    near, similarity = arrays["neighbours"], arrays["similarity"]
    if near.ndim != 2 or len(near) != items or near.shape != similarity.shape:
        raise BundleError(f"knn/neighbours.npy is {near.shape} for {items} items: make the bundle again")
    if near.size and not -1 <= near.min() <= near.max() < items:
        raise BundleError("knn/neighbours.npy names items that this bundle has not: make the bundle again")
    return Neighbours(near, similarity)
