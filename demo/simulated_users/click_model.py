"""The click model: how a simulated user reads a list, which items they click, and which of those they rate.

Clicks follow the position-based model, P(click) = P(examine rank) · P(like): Craswell et al., "An Experimental
Comparison of Click Position-Bias Models" (WSDM 2008); Chuklin, Markov and de Rijke, "Click Models for Web Search"
(2015), 3.3. The decay 1/rank^η is that of Joachims, Swaminathan and Schnabel (WSDM 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from demo.simulated_users.history import Floats
from demo.simulated_users.preference_model import PreferenceModel

#: η of the examination model: 0 examines every rank, 1 halves at the second. Users browse films further down than
#: search results.
ETA = 0.5
#: Share of clicks that a rating follows.
RATES_AFTER_CLICK = 0.3


@dataclass(frozen=True, slots=True)
class Action:
    """What a user does with an item. value: the rating in stars; None for a click."""

    item_id: str
    kind: Literal["click", "rating"]
    value: float | None = None


def examination_probabilities(ranks: int) -> Floats:
    """P(examine) of the ranks 1 to `ranks`, (ranks,): 1 at the top, falling."""
    result: Floats = np.arange(1, ranks + 1, dtype=np.float64) ** -ETA
    return result


@dataclass(slots=True)
class SimulatedUser:
    """A user with preferences and a random generator of their own.

    vector: (k,) in the factors of the preference model. seen: item ids that the user knows and does not click.
    occasion: names the session, so that the same action on another occasion is another event.
    first_ratings: given before the first request; empty for users of the history.
    """

    user_id: str
    preferences: PreferenceModel
    vector: Floats
    bias: float
    seen: set[str]
    rng: np.random.Generator = field(repr=False)
    occasion: str = ""
    first_ratings: tuple[Action, ...] = ()

    def respond(self, shown: Sequence[str]) -> list[Action]:
        """Click the items of a list that are examined and liked, and rate some of them; they are seen from then on.

        Only the order of the list matters: the user does not know which variant made it.
        """
        actions: list[Action] = []
        examined = self.rng.random(len(shown)) < examination_probabilities(len(shown))
        chance = self.rng.random(len(shown))
        for rank in np.flatnonzero(examined & (chance < self._like_probability(shown))):
            actions += self._click(shown[int(rank)])
        return actions

    def _like_probability(self, shown: Sequence[str]) -> Floats:
        """P(like) of each item; 0 for items that the user has seen or that no user has rated."""
        result = np.zeros(len(shown))
        index = self.preferences.item_index
        known = [n for n, item in enumerate(shown) if item in index and item not in self.seen]
        if known:
            items = np.array([index[shown[n]] for n in known], dtype=np.int64)
            result[known] = self.preferences.like_probability(self.vector, items)
        return result

    def _click(self, item_id: str) -> list[Action]:
        self.seen.add(item_id)
        clicked = [Action(item_id, "click")]
        if self.rng.random() >= RATES_AFTER_CLICK:
            return clicked
        stars = self.preferences.rating(self.bias, self.preferences.item_index[item_id], self.rng)
        return [*clicked, Action(item_id, "rating", stars)]
