"""Explain: why an item is shown, from the very numbers that ranked it."""

from __future__ import annotations

from typing import Any

import numpy as np

from usher.schema.interactions import KINDS
from usher_scorer.bundle import Bundle
from usher_scorer.profiles import Float64, Profiles

#: At most so many liked items stand in a reason.
BECAUSE_MAX = 3
_VERBS = dict(zip(KINDS, ("liked", "bought", "clicked", "viewed"), strict=True))


class Explainer:
    """Reasons for one user's items: the user is folded in once, on the first that is asked for."""

    def __init__(self, bundle: Bundle, profile: Profiles, popular: bool) -> None:
        self._bundle = bundle
        self._profile = profile
        self._popular = popular
        self._row: Float64 | None = None

    def reason(self, item: int) -> dict[str, Any]:
        """{"text", "because": [{item_id, title, kind, share}], "predicted": {rating and the parts that add up to it}}.

        kind: what the user did with it, as KINDS has it; share: the liked item's part of all that speaks for this
        one, 0 to 1.
        """
        because = [] if self._popular else self._because(item)
        reason: dict[str, Any] = {"text": self._text(item, because), "because": because}
        if self._bundle.rater is not None and not self._bundle.rater.binary:
            reason["predicted"] = self._predicted(item)
        return reason

    def _because(self, item: int) -> list[dict[str, Any]]:
        ranker, profile = self._bundle.ranker, self._profile
        if ranker is None:
            return []
        parts = np.where(profile.positive, np.maximum(ranker.contributions(profile, item), 0), 0)
        total = float(parts.sum())
        best = [int(n) for n in np.argsort(-parts, kind="stable")[:BECAUSE_MAX] if parts[n] > 0]
        catalogue = self._bundle.catalogue
        return [
            {
                "item_id": catalogue.ids[profile.items[n]],
                "title": catalogue.titles[profile.items[n]],
                "kind": KINDS[profile.kinds[n]],
                "share": round(float(parts[n]) / total, 4),
            }
            for n in best
        ]

    def _text(self, item: int, because: list[dict[str, Any]]) -> str:
        if self._popular:
            return "many people like it"
        if because:
            return f"because you {_deeds(because[:2])}"
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
        parts = rater.predict(self._row, one)
        return {
            "rating": round(float(rater.ratings(self._row, one)[0]), 4),
            "average": round(parts.average, 4),
            "user": round(float(parts.user[0]), 4),
            "item": round(float(parts.item[0]), 4),
            "match": round(float(parts.match[0]), 4),
        }


def _deeds(because: list[dict[str, Any]]) -> str:
    """`liked Heat and Fargo`, `bought Heat and clicked Fargo`: the verb once where it stays the same."""
    words = ""
    before = ""
    for entry in because:
        verb = _VERBS[entry["kind"]]
        words += f"{' and ' if words else ''}{'' if verb == before else verb + ' '}{entry['title']}"
        before = verb
    return words
