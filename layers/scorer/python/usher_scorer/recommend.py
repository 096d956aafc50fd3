"""The scorer's operations: recommendations for one user, similar items, popular items and predicted ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from usher.schema.interactions import RATING, RATING_MAX
from usher_scorer.bundle import Bundle
from usher_scorer.errors import RequestError
from usher_scorer.explain import Explainer
from usher_scorer.profiles import Bool, Float32, Int64, Profiles
from usher_scorer.ranking import relevance, top_k

Level = Literal["model", "fold_in", "popular"]
#: (-kind, microseconds since 1970, rating): of two rows of an item the greater counts.
_Row = tuple[int, int, float]
#: Feedback keeps whole seconds or fractions of them.
_SAME_TIME_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Rated:
    """One profile row of a request. rating: 0 for an event; at_us: microseconds since 1970; kind: a place in KINDS."""

    item_id: str
    rating: float
    at_us: int
    kind: int = RATING


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters on the recommended items: excluded item ids, genre, not_released_after (a year or a date)."""

    exclude: Sequence[str] = ()
    genre: str | None = None
    not_released_after: str | None = None

    def allowed(self, bundle: Bundle) -> Bool:
        """Which items may be recommended (items,). Unknown ids to exclude are ignored: the bundle may be older."""
        catalogue = bundle.catalogue
        allowed = catalogue.of_genre(self.genre) if self.genre else np.ones(len(catalogue), np.bool_)
        if self.not_released_after:
            allowed &= catalogue.not_released_after(self.not_released_after)
        allowed[[catalogue.dense[item] for item in self.exclude if item in catalogue.dense]] = False
        return allowed


@dataclass(frozen=True, slots=True)
class UserProfile:
    """The profile that the models score. fresh: whether it has rows that the bundle does not have."""

    profile: Profiles
    fresh: bool


def user_profile(bundle: Bundle, user_id: str | None, ratings: Sequence[Rated]) -> UserProfile:
    """The stored profile merged with the request's rows; of two rows of an item the stronger counts, then the later."""
    dense = bundle.dense_user.get(user_id) if user_id is not None else None
    rows: dict[int, _Row] = {}
    if dense is not None:
        stored = bundle.profiles.slice(dense, dense + 1)
        columns = ((-stored.kinds).tolist(), stored.times_us.tolist(), stored.values.tolist())
        rows = dict(zip(stored.items.tolist(), zip(*columns, strict=True), strict=True))
    fresh = False
    for rated in ratings:
        item = bundle.catalogue.dense.get(rated.item_id)
        row = (-rated.kind, rated.at_us, rated.rating)
        if item is not None and (item not in rows or _replaces(row, rows[item])):
            rows[item] = row
            fresh = True
    found = list(rows.values())
    profile = Profiles.of_one(rows, (row[2] for row in found), (row[1] for row in found), (-row[0] for row in found))
    return UserProfile(profile, fresh or dense is None)


def _replaces(row: _Row, known: _Row) -> bool:
    """Whether a row replaces the stored one. A row with the time of a stored event is that event: feedback keeps a
    purchase as a rating.
    """
    same = known[0] != -RATING and abs(row[1] - known[1]) < _SAME_TIME_US
    return not same and row[:2] > known[:2]


def recommend(  # noqa: PLR0913 - its inputs, one by one
    bundle: Bundle, user_id: str | None, ratings: Sequence[Rated], k: int, filters: Filters, *, explain: bool = False
) -> dict[str, Any]:
    """The response to {"op": "recommend"}: up to k items, without those that the user rated, bought or clicked."""
    user = user_profile(bundle, user_id, ratings)
    if not len(user.profile.items):
        shown = _best(bundle, bundle.popularity.all, filters, k)
        return _answer(
            bundle, "popular", shown, bundle.popularity.all, _explain(bundle, user, "popular") if explain else None
        )
    scores, informed = relevance(bundle, user.profile)
    level: Level = "popular" if not informed[0] else "fold_in" if user.fresh else "model"
    shown = _best(bundle, scores[0], filters, k)
    return _answer(bundle, level, shown, scores[0], _explain(bundle, user, level) if explain else None)


def similar(bundle: Bundle, item_id: str, k: int, filters: Filters) -> dict[str, Any]:
    """Items with the same positive users; for an item without neighbours, items with the same content."""
    item = bundle.catalogue.dense.get(item_id)
    if item is None:
        raise RequestError("unknown_item", f"no item has the id {item_id[:128]!r}: send an item_id of the catalogue")
    scores = np.full(len(bundle.catalogue), -np.inf, np.float32)
    if bundle.similar_items is not None:
        scores = bundle.similar_items.scores(item, len(bundle.catalogue))
    if not np.isfinite(scores).any() and bundle.content is not None:
        scores = bundle.content.scores(Profiles.of_one([item], [RATING_MAX], [0]))[0]
        scores[scores <= 0] = -np.inf
    scores[item] = -np.inf
    return _answer(bundle, None, _best(bundle, scores, filters, k), scores, None)


def popular(bundle: Bundle, k: int, filters: Filters, *, recent: bool = False) -> dict[str, Any]:
    """The most popular items, of all time or recently."""
    scores = bundle.popularity.recent if recent else bundle.popularity.all
    return _answer(bundle, "popular", _best(bundle, scores, filters, k), scores, None)


def score(bundle: Bundle, user_id: str | None, ratings: Sequence[Rated], items: Sequence[str]) -> dict[str, Any]:
    """Predicted ratings in the order of `items`; unknown items and users get the prior's mean."""
    if bundle.rater is None:
        raise RequestError(
            "no_rater", f"bundle {bundle.manifest.model_id} has no factorization machine: it cannot predict ratings"
        )
    row = bundle.rater.fold_in(user_profile(bundle, user_id, ratings).profile)
    dense = np.array([bundle.catalogue.dense.get(item, -1) for item in items], np.int64)
    return {"model_id": bundle.manifest.model_id, "scores": bundle.rater.ratings(row, dense).tolist()}


def _best(bundle: Bundle, scores: Float32, filters: Filters, k: int) -> Int64:
    return top_k(np.where(filters.allowed(bundle), scores, np.float32(-np.inf)), k)


def _explain(bundle: Bundle, user: UserProfile, level: Level) -> Explainer:
    return Explainer(bundle, user.profile, level == "popular")


def _answer(
    bundle: Bundle, level: Level | None, shown: Int64, scores: Float32, explainer: Explainer | None
) -> dict[str, Any]:
    items: list[Mapping[str, Any]] = []
    for item in shown.tolist():
        entry = {**bundle.catalogue.describe(item), "score": round(float(scores[item]), 6)}
        if explainer:
            entry["reason"] = explainer.reason(item)
        items.append(entry)
    answer: dict[str, Any] = {"model_id": bundle.manifest.model_id, "items": items}
    return {**answer, "level": level} if level else answer
