"""The held-out window: what each person brings when they ask, and what they then did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usher_models.ratings import Bool, Float32, Int64, Ratings
from usher_scorer.profiles import Profiles


@dataclass(frozen=True, slots=True)
class Window:
    """People with later rows, the profile that each brings, and the later rows, person by person.

    people (n,): dense user ids, ascending; profiles: of these, in their order; known (n,): rated something before the
    split; later_person (rows,): place in `people`; later_item, later_value (rows,): what they rated afterwards,
    outside the profile.
    """

    people: Int64
    profiles: Profiles
    known: Bool
    later_person: Int64
    later_item: Int64
    later_value: Float32

    @property
    def relevant(self) -> Bool:
        """Which later rows say that the item was liked (rows,)."""
        return self.later_value >= 4

    @property
    def later_values(self) -> Float32:
        return self.later_value


def split_window(before: Ratings, inside: Ratings) -> Window:
    """By time, the first half (rounded down) of each person's rows in the window joins what came before as the profile.

    The rest is predicted, but for what the profile holds already. Rows of one moment are ordered by item.
    """
    order = np.lexsort((inside.item, inside.time_us, inside.user))
    rows = inside.take(order)
    everyone, first, count = np.unique(rows.user, return_index=True, return_counts=True)
    place = np.arange(len(rows)) - np.repeat(first, count)
    early = place < np.repeat(count // 2, count)
    profile_rows = before.take(np.isin(before.user, everyone)).join(rows.take(early))
    later = rows.take(~early)
    later = later.take(~_pairs_in(later, profile_rows))
    people = np.unique(later.user).astype(np.int64)
    return Window(
        people,
        profile_rows.latest().profiles(people),
        np.isin(people, before.user),
        np.searchsorted(people, later.user),
        later.item.astype(np.int64),
        later.value,
    )


def _pairs_in(rows: Ratings, others: Ratings) -> Bool:
    return np.isin(rows.pairs, others.pairs)
