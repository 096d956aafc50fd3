"""The population of simulated users: users of the history who return, and new users, in the order of their arrival."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from demo.simulated_users.click_model import Action, SimulatedUser
from demo.simulated_users.history import Ints
from demo.simulated_users.preference_model import PreferenceModel

#: A known user returns with a probability that halves with each such share of the ratings since their last one.
RETURN_HALF_LIFE = 0.2
#: Ratings that a new user gives before their first request, at most.
FIRST_RATINGS = 5
#: New users are modelled on users of the history whose first rating lies in this last share of it.
NEWCOMERS = 0.3


@dataclass(frozen=True, slots=True)
class Population:
    """Users in the order of their arrival, which depends on the seed alone.

    known_rows: rows of the history (the first ones) that Usher has received.
    share_known: share of the sessions by users of the history, while there are any left.
    occasion: the same users on another occasion choose anew.
    """

    preferences: PreferenceModel
    known_rows: int
    seed: int
    share_known: float = 0.2
    occasion: str = "visit"

    def arrivals(self) -> Iterator[SimulatedUser]:
        """Endless: users of the history once each, new users without end."""
        rng = self._rng(0, 0)
        known, number, templates = iter(self._returning(rng)), 0, self._templates()
        while True:
            user = next(known, None) if rng.random() < self.share_known else None
            if user is not None:
                yield self._known_user(user)
            else:
                number += 1
                yield self._new_user(number, templates)

    def _returning(self, rng: np.random.Generator) -> list[int]:
        """Users of the history who come back, shuffled."""
        history = self.preferences.history
        last = np.full(len(history.user_ids), -1, dtype=np.int64)
        np.maximum.at(last, history.user[: self.known_rows], np.arange(self.known_rows))
        away = (self.known_rows - last) / len(history)
        returns = (last >= 0) & (rng.random(len(last)) < 0.5 ** (away / RETURN_HALF_LIFE))
        return [int(user) for user in rng.permutation(np.flatnonzero(returns))]

    def _known_user(self, user: int) -> SimulatedUser:
        history = self.preferences.history
        rated = history.item[: self.known_rows][history.user[: self.known_rows] == user]
        return SimulatedUser(
            history.user_ids[user],
            self.preferences,
            self.preferences.factors.users[user],
            float(self.preferences.user_bias[user]),
            {history.item_ids[item] for item in rated},
            self._rng(1, user),
            self.occasion,
        )

    def _new_user(self, number: int, templates: Ints) -> SimulatedUser:
        """A new user with the preferences of a user of the history, who first gives some of that user's ratings."""
        rng = self._rng(2, number)
        history = self.preferences.history
        template = int(rng.choice(templates))
        rows = np.flatnonzero(history.user == template)
        first = rng.choice(rows, min(FIRST_RATINGS, len(rows)), replace=False)
        ratings = tuple(
            Action(history.item_ids[history.item[row]], "rating", float(history.rating[row])) for row in first
        )
        return SimulatedUser(
            f"{self.occasion}-{self.seed}-{number}",
            self.preferences,
            self.preferences.factors.users[template],
            float(self.preferences.user_bias[template]),
            {action.item_id for action in ratings},
            rng,
            self.occasion,
            ratings,
        )

    def _rng(self, kind: int, number: int) -> np.random.Generator:
        """A generator for each user and occasion: no user's choices depend on who came before."""
        return np.random.default_rng([self.seed, zlib.crc32(self.occasion.encode()), kind, number])

    def _templates(self) -> Ints:
        """Users whose first rating lies in the last part of the history; all users when there are none."""
        history = self.preferences.history
        first = np.full(len(history.user_ids), len(history), dtype=np.int64)
        np.minimum.at(first, history.user, np.arange(len(history)))
        late = np.flatnonzero((first >= (1 - NEWCOMERS) * len(history)) & (first < len(history)))
        return late if len(late) else np.unique(history.user)
