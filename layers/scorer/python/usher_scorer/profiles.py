"""What people rated, many at once: the input of every score, at a request as in an evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

#: From this rating on a person liked the item (models.md: rankers learn from positives).
POSITIVE = 4.0


@dataclass(frozen=True)
class Profiles:
    """The ratings of `len(pointer) - 1` people, person after person.

    pointer (people + 1,); items (ratings,): dense ids; values (ratings,): 0.5 to 5; times_us (ratings,): microseconds
    since 1970.
    """

    pointer: Int64
    items: Int64
    values: Float32
    times_us: Int64

    def __len__(self) -> int:
        return len(self.pointer) - 1

    @classmethod
    def of_one(cls, items: Iterable[int], values: Iterable[float], times_us: Iterable[int]) -> Profiles:
        """One person's profile."""
        dense = np.fromiter(items, np.int64)
        return cls(
            np.array([0, len(dense)], np.int64), dense, np.fromiter(values, np.float32), np.fromiter(times_us, np.int64)
        )

    @classmethod
    def gather(cls, people: Int64, items: Int64, values: Float32, times_us: Int64, count: int) -> Profiles:
        """Profiles from rows in any order; people (rows,): 0 to count - 1."""
        order = np.argsort(people, kind="stable")
        pointer = np.concatenate([[0], np.cumsum(np.bincount(people, minlength=count))]).astype(np.int64)
        return cls(pointer, items[order].astype(np.int64), values[order].astype(np.float32), times_us[order])

    def slice(self, start: int, stop: int) -> Profiles:
        """The people start..stop."""
        pointer = self.pointer[start : stop + 1]
        rows = slice(int(pointer[0]), int(pointer[-1]))
        return Profiles(pointer - pointer[0], self.items[rows], self.values[rows], self.times_us[rows])

    @property
    def people(self) -> Int64:
        """Whose rating each row is (ratings,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.pointer))

    @property
    def positive(self) -> Bool:
        """Which rows say that the item was liked (ratings,)."""
        return self.values >= POSITIVE

    @cached_property
    def ages(self) -> Float64:
        """How many positives each row has after it (ratings,).

        Of those at the same moment half are counted: their order is unknown.
        """
        if not len(self.items):
            return np.zeros(0)
        people = self.people
        order = np.lexsort((-self.times_us, people))
        who, when, positive = people[order], self.times_us[order], self.positive[order].astype(np.float64)
        later = np.cumsum(positive) - positive
        starts = np.concatenate([[True], (np.diff(who) != 0) | (np.diff(when) != 0)])
        moment, first = np.cumsum(starts) - 1, np.flatnonzero(starts)
        in_moment = np.add.reduceat(positive, first)[moment]
        out = np.empty(len(order))
        out[order] = later[first[moment]] - later[self.pointer[who]] + (in_moment - positive) / 2
        return out
