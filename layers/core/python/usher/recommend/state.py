"""What the read path knows of the state table: the router, the popularity lists, a person's latest ratings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher.decimals import loaded
from usher.records import keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: So many of a person's latest ratings are kept (contracts: profile).
RECENT_MAX = 200


@dataclass(frozen=True, slots=True)
class Recent:
    """One of a person's latest ratings. at: epoch seconds."""

    item_id: str
    rating: float
    at: float


@dataclass(frozen=True, slots=True)
class PopularLists:
    """The popularity lists, most popular first; an item is {item_id, title, genres}. genres: by name in lower case."""

    model_id: str
    all: tuple[Mapping[str, Any], ...]
    genres: Mapping[str, tuple[Mapping[str, Any], ...]]


def read_popular(table: Table) -> PopularLists | None:
    """The lists of the newest model; None before the first deployment."""
    item: Any = loaded(table.get_item(Key=keys.POPULAR.item()).get("Item"))
    if item is None:
        return None
    genres = {str(name).casefold(): tuple(entries) for name, entries in item["genres"].items()}
    return PopularLists(str(item["model_id"]), tuple(item["all"]), genres)


def read_recent(table: Table, user_hash: str) -> tuple[Recent, ...]:
    """What a person rated lately, oldest first; what is no rating on the scale is passed over."""
    item: Any = loaded(table.get_item(Key=keys.profile(user_hash).item()).get("Item"))
    rows = (item or {}).get("recent", ())
    found = [recent for row in rows if (recent := _recent(row)) is not None]
    return tuple(sorted(found, key=lambda recent: recent.at)[-RECENT_MAX:])


def _recent(row: Any) -> Recent | None:
    try:
        recent = Recent(str(row["item_id"]), float(row["rating"]), float(row["at"]))
    except (KeyError, TypeError, ValueError):
        return None
    return recent if 0.5 <= recent.rating <= 5 and math.isfinite(recent.at) and recent.at >= 0 else None
