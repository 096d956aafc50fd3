"""The held-out window: each user's profile at the time of a request, and the later rows to be predicted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from usher.schema.interactions import RATING, VIEW
from usher_models.ratings import Bool, Float32, Int8, Int64, Ratings
from usher_scorer.profiles import Profiles, likes, no_kinds


@dataclass(frozen=True, slots=True)
class Window:
    """Users with later rows, the profile of each, and the later rows, ordered by user.

    users (n,): dense user ids, ascending; profiles: of these, in their order; known (n,): has rows before the
    split; later_user (rows,): place in `users`; later_item, later_value, later_kind (rows,): rows on items that the
    profile does not have as seen.
    """

    users: Int64
    profiles: Profiles
    known: Bool
    later_user: Int64
    later_item: Int64
    later_value: Float32
    later_kind: Int8 = field(default_factory=no_kinds)

    def __post_init__(self) -> None:
        if len(self.later_kind) != len(self.later_item):
            object.__setattr__(self, "later_kind", np.zeros(len(self.later_item), np.int8))

    @property
    def relevant(self) -> Bool:
        """Which later rows are positives (rows,)."""
        return likes(self.later_value, self.later_kind)

    @property
    def stated(self) -> Bool:
        """Which later rows are ratings (rows,): rating errors are measured on them."""
        stated: Bool = self.later_kind == RATING
        return stated

    @property
    def later_ratings(self) -> Float32:
        """The later rows' ratings (stated,)."""
        return self.later_value[self.stated]


def split_window(before: Ratings, inside: Ratings) -> Window:
    """Split each user's rows of the window by time: the first half (rounded down) and the rows before are the profile.

    The second half is predicted, without items that the profile has as seen. Views are never predicted. Rows of the
    same time are ordered by item.
    """
    order = np.lexsort((inside.item, inside.time_us, inside.user))
    rows = inside.take(order)
    owner, first, count = np.unique(rows.user, return_index=True, return_counts=True)
    place = np.arange(len(rows)) - np.repeat(first, count)
    early = place < np.repeat(count // 2, count)
    profile_rows = before.take(np.isin(before.user, owner)).join(rows.take(early)).strongest()
    later = rows.take(~early & (rows.kind != VIEW))
    later = later.take(~_pairs_in(later, profile_rows.take(profile_rows.kind != VIEW)))
    users = np.unique(later.user).astype(np.int64)
    return Window(
        users,
        profile_rows.profiles(users),
        np.isin(users, before.user),
        np.searchsorted(users, later.user),
        later.item.astype(np.int64),
        later.value,
        later.kind,
    )


def _pairs_in(rows: Ratings, others: Ratings) -> Bool:
    return np.isin(rows.pairs, others.pairs)
