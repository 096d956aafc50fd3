"""One person: what they liked before, what they click in a list, and what they then rate it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from demo.simulated_users.examination import examination
from demo.simulated_users.history import Floats
from demo.simulated_users.taste import Taste

#: One click in so many is followed by a rating.
RATES_AFTER_CLICK = 0.3


@dataclass(frozen=True, slots=True)
class Action:
    """What a person does with an item. value: the rating in stars, None for a click."""

    item_id: str
    kind: Literal["click", "rating"]
    value: float | None = None


@dataclass(slots=True)
class Person:
    """Somebody with a taste of their own and a stream of chance of their own.

    vector: (k,) in the taste's factors. seen: item ids that they know already and do not click.
    occasion: names the visit, so that what they do again on another one is another event.
    first_ratings: what they rate before they ask for anything; empty for those whom Usher knows from the data.
    """

    user_id: str
    taste: Taste
    vector: Floats
    bias: float
    seen: set[str]
    rng: np.random.Generator = field(repr=False)
    occasion: str = ""
    first_ratings: tuple[Action, ...] = ()

    def respond(self, shown: Sequence[str]) -> list[Action]:
        """Look down the list, click what they look at and like, rate some of it; what they clicked is seen then.

        Only the order of the list counts: who made it, they cannot know.
        """
        actions: list[Action] = []
        looked = self.rng.random(len(shown)) < examination(len(shown))
        chance = self.rng.random(len(shown))
        for place in np.flatnonzero(looked & (chance < self._attraction(shown))):
            actions += self._take(shown[int(place)])
        return actions

    def _attraction(self, shown: Sequence[str]) -> Floats:
        """P(like) of each item shown; 0 for what they know already and for what nobody ever rated."""
        result = np.zeros(len(shown))
        known = [n for n, item in enumerate(shown) if item in self.taste.places and item not in self.seen]
        if known:
            result[known] = self.taste.attraction(
                self.vector, np.array([self.taste.places[shown[n]] for n in known], dtype=np.int64)
            )
        return result

    def _take(self, item_id: str) -> list[Action]:
        self.seen.add(item_id)
        clicked = [Action(item_id, "click")]
        if self.rng.random() >= RATES_AFTER_CLICK:
            return clicked
        stars = self.taste.rating(self.bias, self.taste.places[item_id], self.rng)
        return [*clicked, Action(item_id, "rating", stars)]
