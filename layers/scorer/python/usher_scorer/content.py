"""Content: how near an item's genres, year and tags are to what a user liked, so that an item nobody rated can
be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from usher_scorer.errors import BundleError
from usher_scorer.profiles import Float32, Int64, Profiles
from usher_scorer.ranker import recency

#: Items whose features are laid out densely at once when many users are scored.
_BLOCK = 2048


@dataclass(frozen=True)
class Content:
    """Sparse feature rows of unit length: pointer (items + 1,), columns, values (entries,); width: how many features.

    rows (entries,): the item of each entry.
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
        """(users, width): the weighted mean of the features of what each user rated."""
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
    """The content part of a bundle's arrays; BundleError when they do not fit together."""
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
