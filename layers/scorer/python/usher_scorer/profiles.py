"""Profiles of many users at once (ratings, purchases, clicks, views): the input of every model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from usher.schema.interactions import (
    EVENT_WEIGHTS,
    KINDS,
    POSITIVE_EVENT_TYPES,
    POSITIVE_RATING,
    RATING,
    RATING_WEIGHTS,
    VIEW,
    WEIGHT_RATINGS,
)

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


#: A row's weight never falls below this share, however many positives came after it ...
RECENCY_FLOOR = 0.3
#: ... and the rest halves with this many of them.
RECENCY_HALF_LIFE = 5.0
#: (4,) by code.
_POSITIVE_KINDS: Bool = np.array([kind in POSITIVE_EVENT_TYPES for kind in KINDS])


def grade(values: Float32) -> Float64:
    """The weight of a rating in a profile."""
    return np.interp(values, WEIGHT_RATINGS, RATING_WEIGHTS)


def weigh(values: Float32, kinds: Int8) -> Float64:
    """The weight of each row as evidence for its item (below 0: against it), by its rating or its kind of event."""
    return np.where(kinds == RATING, grade(values), np.array(EVENT_WEIGHTS)[kinds])


def likes(values: Float32, kinds: Int8) -> Bool:
    """Which rows are positives: ratings from 4 on, purchases and clicks; a view is too weak."""
    return np.where(kinds == RATING, values >= POSITIVE_RATING, _POSITIVE_KINDS[kinds])


def recency(ages: Float64) -> Float64:
    """The factor (rows,) of a row's weight after `ages` later positives."""
    return RECENCY_FLOOR + (1 - RECENCY_FLOOR) * 0.5 ** (ages / RECENCY_HALF_LIFE)


def no_kinds() -> Int8:
    """The default of rows' kinds: empty, which means that all rows are ratings."""
    return np.zeros(0, np.int8)


@dataclass(frozen=True)
class Profiles:
    """The rows of `len(pointer) - 1` users, user after user, one for an item.

    pointer (users + 1,); items (rows,): dense ids; values (rows,): 0.5 to 5, of events 0; times_us (rows,):
    microseconds since 1970; kinds (rows,): places in KINDS, left out when all are ratings.
    """

    pointer: Int64
    items: Int64
    values: Float32
    times_us: Int64
    kinds: Int8 = field(default_factory=no_kinds)

    def __post_init__(self) -> None:
        if len(self.kinds) != len(self.items):
            object.__setattr__(self, "kinds", np.zeros(len(self.items), np.int8))

    def __len__(self) -> int:
        return len(self.pointer) - 1

    @classmethod
    def of_one(
        cls, items: Iterable[int], values: Iterable[float], times_us: Iterable[int], kinds: Iterable[int] = ()
    ) -> Profiles:
        """One user's profile; without kinds all rows are ratings."""
        dense = np.fromiter(items, np.int64)
        pointer = np.array([0, len(dense)], np.int64)
        rows = (np.fromiter(values, np.float32), np.fromiter(times_us, np.int64), np.fromiter(kinds, np.int8))
        return cls(pointer, dense, *rows)

    @classmethod
    def gather(  # noqa: PLR0913, PLR0917 - its columns, one by one
        cls, user: Int64, items: Int64, values: Float32, times_us: Int64, count: int, kinds: Int8 | None = None
    ) -> Profiles:
        """Profiles from rows in any order; user (rows,): 0 to count - 1; without kinds all rows are ratings."""
        kinds = np.zeros(len(items), np.int8) if kinds is None else kinds
        order = np.argsort(user, kind="stable")
        pointer = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=count))]).astype(np.int64)
        rows = (items[order].astype(np.int64), values[order].astype(np.float32), times_us[order], kinds[order])
        return cls(pointer, *rows)

    def slice(self, start: int, stop: int) -> Profiles:
        """The users start..stop."""
        pointer = self.pointer[start : stop + 1]
        rows = slice(int(pointer[0]), int(pointer[-1]))
        taken = (self.items[rows], self.values[rows], self.times_us[rows], self.kinds[rows])
        return Profiles(pointer - pointer[0], *taken)

    @property
    def user(self) -> Int64:
        """The user of each row, 0 to len - 1 (rows,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.pointer))

    @property
    def positive(self) -> Bool:
        """Which rows are positives (rows,)."""
        return likes(self.values, self.kinds)

    @property
    def weights(self) -> Float64:
        """The weight of each row as evidence for its item (rows,)."""
        return weigh(self.values, self.kinds)

    @property
    def stated(self) -> Bool:
        """Which rows are ratings (rows,): predicted ratings use no others."""
        stated: Bool = self.kinds == RATING
        return stated

    @property
    def seen(self) -> Bool:
        """Which rows' items are not recommended again (rows,): all but viewed ones, which may have been overlooked."""
        seen: Bool = self.kinds != VIEW
        return seen

    @cached_property
    def ages(self) -> Float64:
        """The number of later positives of the same user (rows,).

        Those at the same time count half: their order is unknown.
        """
        if not len(self.items):
            return np.zeros(0)
        user = self.user
        order = np.lexsort((-self.times_us, user))
        owner, when, positive = user[order], self.times_us[order], self.positive[order].astype(np.float64)
        later = np.cumsum(positive) - positive
        starts = np.concatenate([[True], (np.diff(owner) != 0) | (np.diff(when) != 0)])
        moment, first = np.cumsum(starts) - 1, np.flatnonzero(starts)
        in_moment = np.add.reduceat(positive, first)[moment]
        out = np.empty(len(order))
        out[order] = later[first[moment]] - later[self.pointer[owner]] + (in_moment - positive) / 2
        return out
