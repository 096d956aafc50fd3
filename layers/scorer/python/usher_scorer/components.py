"""The components of a bundle: the roles that they take, and those that are plain arrays (content, popularity, k-NN).

`usher.algorithms` states the role of each algorithm; its reader returns an object with the role's protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from usher_scorer.errors import BundleError
from usher_scorer.profiles import Float32, Float64, Int64, Profiles, recency

#: Items whose features are made dense at once when many users are scored.
_BLOCK = 2048


class Ranker(Protocol):
    """Role `ranking`: scores the items that it covers for many profiles at once."""

    @property
    def covered(self) -> Int64:
        """Dense ids of the items that it can score (covered,), ascending."""
        ...

    def scores(self, profiles: Profiles) -> Float32:
        """(users, covered): higher is better; a row of zeros means that it knows nothing of the user."""
        ...

    def contributions(self, profile: Profiles, item: int) -> Float32:
        """How much each row of one profile adds to the score of `item` (rows,); zeros where it cannot tell."""
        ...


@dataclass(frozen=True)
class Prediction:
    """Terms of predicted ratings that add up (before clipping): average + user + item + match, each (items,)."""

    average: float
    user: Float64
    item: Float64
    match: Float64

    @property
    def total(self) -> Float64:
        return self.average + self.user + self.item + self.match


class Rater(Protocol):
    """Role `rating`: predicts ratings from a folded-in user."""

    @property
    def binary(self) -> bool:
        """Whether it predicts the probability of a positive instead of a rating."""
        ...

    def fold_in(self, profile: Profiles) -> Float64:
        """The user's factors, from one profile; of a shape that only the rater itself reads."""
        ...

    def predict(self, user: Float64, items: Int64) -> Prediction:
        """The terms of the predictions for a folded-in user and items (n,); -1 stands for an unknown item."""
        ...

    def ratings(self, user: Float64, items: Int64) -> Float64:
        """Predicted ratings on the scale, or probabilities if binary (n,)."""
        ...


class SimilarItems(Protocol):
    """Role `similar_items`: scores all items by their similarity to one."""

    def scores(self, item: int, count: int) -> Float32:
        """(count,): similarity of every item to `item`, -inf for items that are not similar."""
        ...


@dataclass(frozen=True)
class Content:
    """Item features (genres, year, tags), by which items without ratings can be recommended, too.

    Sparse rows of unit length: pointer (items + 1,); columns, values (entries,); width: number of features; rows
    (entries,): the item of each entry.
    """

    pointer: Int64
    columns: Int64
    values: Float32
    width: int
    rows: Int64

    def scores(self, profiles: Profiles) -> Float32:
        """(users, items): the dot product of each item's features with the profile's weighted mean."""
        taste, count = self._taste(profiles), len(self.pointer) - 1
        if len(profiles) == 1:
            return np.bincount(self.rows, self.values * taste[0][self.columns], count).astype(np.float32)[None]
        out = np.empty((len(profiles), count), np.float32)
        for start in range(0, count, _BLOCK):
            stop = min(start + _BLOCK, count)
            out[:, start:stop] = taste @ self._dense(start, stop).T
        return out

    def _taste(self, profiles: Profiles) -> Float32:
        """(users, width): the weighted mean of the features of the items in each profile."""
        weights = profiles.weights * recency(profiles.ages)
        lengths = self.pointer[profiles.items + 1] - self.pointer[profiles.items]
        row = np.repeat(np.arange(len(lengths)), lengths)
        entry = (
            np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + self.pointer[profiles.items[row]]
        )
        user = profiles.user
        cell = user[row] * self.width + self.columns[entry]
        summed = np.bincount(cell, weights[row] * self.values[entry], len(profiles) * self.width)
        total = np.bincount(user, np.abs(weights), len(profiles))
        return (summed.reshape(-1, self.width) / np.maximum(total, 1e-9)[:, None]).astype(np.float32)

    def _dense(self, start: int, stop: int) -> Float32:
        span = slice(int(self.pointer[start]), int(self.pointer[stop]))
        block = np.zeros((stop - start, self.width), np.float32)
        block[self.rows[span] - start, self.columns[span]] = self.values[span]
        return block


def read_content(settings: Mapping[str, Any], arrays: Mapping[str, Any], items: int) -> Content:
    """Content from a bundle's arrays; BundleError when their shapes are not consistent."""
    pointer = np.asarray(arrays["pointer"], np.int64)
    columns, values, width = (
        np.asarray(arrays["columns"], np.int64),
        np.asarray(arrays["values"]),
        int(settings["width"]),
    )
    fits = len(pointer) == items + 1 and pointer[0] == 0 and pointer[-1] == len(columns) == len(values)
    if not fits or (np.diff(pointer) < 0).any() or (len(columns) and not 0 <= columns.min() <= columns.max() < width):
        raise BundleError(f"content/ does not hold features of {items} items: make the bundle again")
    return Content(pointer, columns, values, width, np.repeat(np.arange(items), np.diff(pointer)))


@dataclass(frozen=True)
class Popularity:
    """all, recent (items,): scores, higher is more popular; `recent`: of the last year, shrunk to `all`."""

    all: Float32
    recent: Float32


def read_popularity(settings: Mapping[str, Any], arrays: Mapping[str, Any], items: int) -> Popularity:  # noqa: ARG001 - one signature for all readers
    """Popularity from a bundle's arrays; BundleError when their shapes are not consistent."""
    if arrays["all"].shape != (items,) or arrays["recent"].shape != (items,):
        raise BundleError(f"popularity/ does not hold {items} scores: make the bundle again")
    return Popularity(arrays["all"], arrays["recent"])


@dataclass(frozen=True)
class Neighbours:
    """Nearest neighbours: items (items, k), in descending order, -1 where there are fewer; similarity (items, k)."""

    items: Int64
    similarity: Float32

    def scores(self, item: int, count: int) -> Float32:
        """(count,): similarity of every item to `item`, -inf for items that are not neighbours."""
        out = np.full(count, -np.inf, np.float32)
        known = np.asarray(self.items[item]) >= 0
        out[self.items[item][known]] = self.similarity[item][known]
        return out


def read_neighbours(settings: Mapping[str, Any], arrays: Mapping[str, Any], items: int) -> Neighbours:  # noqa: ARG001 - one signature for all readers
    """Neighbours from a bundle's arrays; BundleError when their shapes are not consistent."""
    near, similarity = arrays["neighbours"], arrays["similarity"]
    if near.ndim != 2 or len(near) != items or near.shape != similarity.shape:
        raise BundleError(f"knn/neighbours.npy is {near.shape} for {items} items: make the bundle again")
    if near.size and not -1 <= near.min() <= near.max() < items:
        raise BundleError("knn/neighbours.npy names items that this bundle does not have: make the bundle again")
    return Neighbours(near, similarity)
