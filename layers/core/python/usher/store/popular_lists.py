"""The popularity lists, as the read path knows them: the answer when no endpoint answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher.store import keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


@dataclass(frozen=True, slots=True)
class PopularLists:
    """The popularity lists, most popular first; an item is {item_id, title, genres}. genres: by name in lower case."""

    model_id: str
    all: tuple[Mapping[str, Any], ...]
    genres: Mapping[str, tuple[Mapping[str, Any], ...]]


def read_popular(table: Table) -> PopularLists | None:
    """The lists of the newest model; None before the first deployment."""
    item: Any = table.get_item(Key=keys.POPULAR.item()).get("Item")
    if item is None:
        return None
    lists = json.loads(item["lists"])
    genres = {str(name).casefold(): tuple(entries) for name, entries in lists["genres"].items()}
    return PopularLists(str(item["model_id"]), tuple(lists["all"]), genres)
