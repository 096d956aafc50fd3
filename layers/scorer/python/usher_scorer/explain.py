"""Reasons for a recommendation, computed from the numbers that ranked it."""

from __future__ import annotations

from typing import Any

import numpy as np

from usher.schema.interactions import KINDS
from usher_scorer.bundle import Bundle
from usher_scorer.profiles import Float64, Profiles

#: A reason names at most this many items of the profile.
BECAUSE_MAX = 3
_VERBS = dict(zip(KINDS, ("liked", "bought", "clicked", "viewed"), strict=True))


class Explainer:
    """Reasons for one user's items; the user is folded in once, for the first reason."""

    def __init__(self, bundle: Bundle, profile: Profiles, popular: bool) -> None:
        self._bundle = bundle
        self._profile = profile
        self._popular = popular
        self._row: Float64 | None = None

    def reason(self, item: int) -> dict[str, Any]:
        """{"text", "because": [{item_id, title, kind, share}], "predicted": {rating and the terms that add up to it}}.

        kind: the interaction (KINDS); share: the part of the item's positive contributions that is this one's, 0 to 1.
        """
        because = [] if self._popular else self._because(item)
        reason: dict[str, Any] = {"text": self._text(item, because), "because": because}
        if self._bundle.rater is not None and not self._bundle.rater.binary:
            reason["predicted"] = self._predicted(item)
        return reason

    def _because(self, item: int) -> list[dict[str, Any]]:
        profile = self._profile
        found = (ranker.contributions(profile, item) for ranker in self._bundle.rankers)
        contributions = next((one for one in found if one.any()), np.zeros(len(profile.items), np.float32))
        positive = np.where(profile.positive, np.maximum(contributions, 0), 0)
        total = float(positive.sum())
        best = [int(n) for n in np.argsort(-positive, kind="stable")[:BECAUSE_MAX] if positive[n] > 0]
        catalogue = self._bundle.catalogue
        return [
            {
                "item_id": catalogue.ids[profile.items[n]],
                "title": catalogue.titles[profile.items[n]],
                "kind": KINDS[profile.kinds[n]],
                "share": round(float(positive[n]) / total, 4),
            }
            for n in best
        ]

    def _text(self, item: int, because: list[dict[str, Any]]) -> str:
        if self._popular:
            return "many people like it"
        if because:
            return f"because you {_interactions(because[:2])}"
        liked = {
            genre for n in self._profile.items[self._profile.positive] for genre in self._bundle.catalogue.genres[n]
        }
        shared = [genre for genre in self._bundle.catalogue.genres[item] if genre in liked]
        return f"because you like {' and '.join(shared[:2])}" if shared else "people with your taste like it"

    def _predicted(self, item: int) -> dict[str, float]:
        rater = self._bundle.rater
        if rater is None:
            raise AssertionError("a predicted rating without a rater")
        if self._row is None:
            self._row = rater.fold_in(self._profile)
        one = np.array([item], np.int64)
        terms = rater.predict(self._row, one)
        return {
            "rating": round(float(rater.ratings(self._row, one)[0]), 4),
            "average": round(terms.average, 4),
            "user": round(float(terms.user[0]), 4),
            "item": round(float(terms.item[0]), 4),
            "match": round(float(terms.match[0]), 4),
        }


def _interactions(because: list[dict[str, Any]]) -> str:
    """`liked Heat and Fargo`, `bought Heat and clicked Fargo`: the verb is written once while it stays the same."""
    words = ""
    before = ""
    for entry in because:
        verb = _VERBS[entry["kind"]]
        words += f"{' and ' if words else ''}{'' if verb == before else verb + ' '}{entry['title']}"
        before = verb
    return words
