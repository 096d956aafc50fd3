"""Who comes: people of the data, the sooner the later they were last there, and new ones like those who came last."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from demo.simulated_users.history import Ints
from demo.simulated_users.person import Action, Person
from demo.simulated_users.taste import Taste

#: Somebody known comes back with a probability that halves with each such part of the ratings since their last one.
AWAY_HALF_LIFE = 0.2
#: So many ratings a new person gives before they ask for anything, at most.
FIRST_RATINGS = 5
#: New people are drawn from real ones who first came in this last part of the ratings, the hidden ones among them.
NEWCOMERS = 0.3


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody who may come, in an order that the seed alone decides.

    known_rows: how many of the history's rows (the first ones) Usher has been given by now.
    share_known: of the visits, while known people are left.
    occasion: what brings them; the same people on another occasion choose anew.
    """

    taste: Taste
    known_rows: int
    seed: int
    share_known: float = 0.2
    occasion: str = "visit"

    def arrivals(self) -> Iterator[Person]:
        """Endless: known people once each, new ones without end."""
        rng = self._rng(0, 0)
        known, number, sources = iter(self._known(rng)), 0, self._sources()
        while True:
            person = next(known, None) if rng.random() < self.share_known else None
            if person is not None:
                yield self._known_person(person)
            else:
                number += 1
                yield self._new_person(number, sources)

    def _known(self, rng: np.random.Generator) -> list[int]:
        """Those who come back, shuffled."""
        history = self.taste.history
        last = np.full(len(history.person_ids), -1, dtype=np.int64)
        np.maximum.at(last, history.person[: self.known_rows], np.arange(self.known_rows))
        away = (self.known_rows - last) / len(history)
        comes = (last >= 0) & (rng.random(len(last)) < 0.5 ** (away / AWAY_HALF_LIFE))
        return [int(person) for person in rng.permutation(np.flatnonzero(comes))]

    def _known_person(self, person: int) -> Person:
        history = self.taste.history
        rated = history.item[: self.known_rows][history.person[: self.known_rows] == person]
        return Person(
            history.person_ids[person],
            self.taste,
            self.taste.factors.people[person],
            float(self.taste.person_bias[person]),
            {history.item_ids[item] for item in rated},
            self._rng(1, person),
            self.occasion,
        )

    def _new_person(self, number: int, sources: Ints) -> Person:
        """Somebody new with the taste of a real person, who begins with some of that person's ratings."""
        rng = self._rng(2, number)
        history = self.taste.history
        source = int(rng.choice(sources))
        rows = np.flatnonzero(history.person == source)
        first = rng.choice(rows, min(FIRST_RATINGS, len(rows)), replace=False)
        ratings = tuple(
            Action(history.item_ids[history.item[row]], "rating", float(history.rating[row])) for row in first
        )
        return Person(
            f"{self.occasion}-{self.seed}-{number}",
            self.taste,
            self.taste.factors.people[source],
            float(self.taste.person_bias[source]),
            {action.item_id for action in ratings},
            rng,
            self.occasion,
            ratings,
        )

    def _rng(self, kind: int, number: int) -> np.random.Generator:
        """A stream of chance for each person and occasion: nobody's choices depend on who came before."""
        return np.random.default_rng([self.seed, zlib.crc32(self.occasion.encode()), kind, number])

    def _sources(self) -> Ints:
        """Real people whose first rating lies in the last part; everybody when nobody's does."""
        history = self.taste.history
        first = np.full(len(history.person_ids), len(history), dtype=np.int64)
        np.minimum.at(first, history.person, np.arange(len(history)))
        late = np.flatnonzero((first >= (1 - NEWCOMERS) * len(history)) & (first < len(history)))
        return late if len(late) else np.unique(history.person)
