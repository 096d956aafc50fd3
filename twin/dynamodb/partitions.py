"""A Query reads its own partition, not the whole table: moto sorts every item of the table for each Query.

With ten thousand items that is a tenth of a second, at each recommendation. moto's own code answers, on a view of the
table that holds nothing but the partition; of an index, the items that bear its key.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from twin.moto_patches.registry import original

_SYMBOL = "moto.dynamodb.models.table:Table.query"
#: Where Table.query has the index's name among its positional arguments, after hash_key.
_INDEX_NAME = 6


def query(self: Any, hash_key: Any, *arguments: Any, **named: Any) -> Any:
    """Table.query on the partition of `hash_key`, or of the index's key."""
    index_name = named.get("index_name") or (arguments[_INDEX_NAME] if len(arguments) > _INDEX_NAME else None)
    view = copy.copy(self)
    if index_name is None:
        view.items = {hash_key: self.items[hash_key]} if hash_key in self.items else {}
    elif conditions := named.get("hash_key_conditions"):
        view.items = _bearing(self, conditions)
    return original(_SYMBOL)(view, hash_key, *arguments, **named)


def _bearing(table: Any, conditions: Sequence[tuple[str, Any]]) -> dict[Any, Any]:
    """The table's items whose attributes are as `conditions` say, (name, value) each."""
    wanted = [(name, value.type, value.value) for name, value in conditions]

    def bears(item: Any) -> bool:
        found = ((item.attrs.get(name), kind, value) for name, kind, value in wanted)
        return all(has is not None and has.type == kind and has.value == value for has, kind, value in found)

    if not table.has_range_key:
        return {key: item for key, item in table.items.items() if bears(item)}
    parts = {
        key: {inner: item for inner, item in part.items() if bears(item)} for key, part in list(table.items.items())
    }
    return {key: part for key, part in parts.items() if part}
