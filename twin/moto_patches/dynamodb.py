"""What the twin replaces in moto's DynamoDB: writes are atomic, and requests cost no more than the items they name."""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twin.moto_patches.registry import Patch, original

_CALL_ACTION = "moto.dynamodb.responses:DynamoHandler.call_action"
_QUERY = "moto.dynamodb.models.table:Table.query"
_SERIALIZE = "moto.core.serialize:BaseJSONSerializer._serialize_type_structure"
_TRANSACT = "moto.dynamodb.models:DynamoDBBackend.transact_write_items"

PATCHES = (
    Patch(
        _CALL_ACTION,
        "twin.moto_patches.dynamodb:call_action",
        "reads and writes an item in steps that other threads come between",
        "test_dynamodb.py::test_of_many_updates_of_one_item_at_once_none_is_lost",
    ),
    Patch(
        _QUERY,
        "twin.moto_patches.dynamodb:query",
        "sorts the whole table for each Query",
        "test_dynamodb.py::test_a_query_looks_at_its_own_partition_alone",
    ),
    Patch(
        _SERIALIZE,
        "twin.moto_patches.dynamodb:serialize_type_structure",
        "writes each value of an item anew, half a second for the popularity lists",
        "test_dynamodb.py::test_an_item_goes_out_as_it_came_in_and_costs_no_call_for_each_value",
    ),
    Patch(
        _TRANSACT,
        "twin.moto_patches.dynamodb:transact_write_items",
        "copies the whole table for each write of a transaction",
        "test_dynamodb.py::test_a_transaction_looks_at_the_items_that_it_names_alone",
    ),
)

_PLAIN = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})
#: The position of the index's name among the positional arguments of Table.query after hash_key.
_INDEX_NAME = 6
_one_at_a_time = threading.RLock()


def call_action(handler: Any) -> Any:
    """DynamoHandler.call_action, serially."""
    return serially(original(_CALL_ACTION))(handler)


def serially(action: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An action of moto's handler that runs beside no other request: AWS reads, checks and writes an item in one step.

    moto's server answers in threads, and UpdateItem changes the item that others read meanwhile: of two appends to a
    list one is lost. Serial requests cost nothing, as they share one interpreter.
    """

    def run(handler: Any) -> Any:
        with _one_at_a_time:
            return action(handler)

    return run


def serialize_type_structure(self: Any, serialized: dict[str, Any], value: Any, shape: Any, key: str) -> None:
    """BaseJSONSerializer._serialize_type_structure: a value in DynamoDB's JSON is passed on whole, except bytes.

    moto serializes each value again: half a second for the popularity lists, an item of 180 kB.
    """
    if shape.name == "AttributeValue" and key and _is_json(value):
        serialized[key] = value
    else:
        original(_SERIALIZE)(self, serialized, value, shape, key)


def _is_json(value: Any) -> bool:
    """Whether an attribute value holds no bytes, at any depth."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "M":
        return isinstance(content, dict) and all(map(_is_json, content.values()))
    if kind == "L":
        return isinstance(content, list) and all(map(_is_json, content))
    return kind in _PLAIN


def query(self: Any, hash_key: Any, *arguments: Any, **named: Any) -> Any:
    """Table.query on the partition of `hash_key`, or of the index's key.

    moto sorts every item of the table for each Query: with ten thousand items a tenth of a second. Its own code runs on
    a view of the table that holds the partition only.
    """
    index_name = named.get("index_name") or (arguments[_INDEX_NAME] if len(arguments) > _INDEX_NAME else None)
    if not self.has_range_key:
        return original(_QUERY)(self, hash_key, *arguments, **named)
    view = copy.copy(self)
    if index_name is None:
        view.items = {hash_key: self.items[hash_key]} if hash_key in self.items else {}
    elif conditions := named.get("hash_key_conditions"):
        view.items = _matching(self, conditions)
    return original(_QUERY)(view, hash_key, *arguments, **named)


def _matching(table: Any, conditions: Sequence[tuple[str, Any]]) -> dict[Any, Any]:
    """The table's items whose attributes equal those of `conditions`, (name, value) each."""
    wanted = [(name, value.type, value.value) for name, value in conditions]

    def matches(item: Any) -> bool:
        found = ((item.attrs.get(name), kind, value) for name, kind, value in wanted)
        return all(has is not None and has.type == kind and has.value == value for has, kind, value in found)

    parts = {
        key: {inner: item for inner, item in part.items() if matches(item)} for key, part in list(table.items.items())
    }
    return {key: part for key, part in parts.items() if part}


def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
    """DynamoDBBackend.transact_write_items on the named items.

    moto copies the whole table for each write: seconds with ten thousand items. Its own code runs on a view of the
    tables with copies of the named items, which are written back only when every condition held.
    """
    view = copy.copy(self)
    view.tables = dict(self.tables)
    touched = list(_touched(self, transact_items))
    for name in {name for name, _, _ in touched}:
        view.tables[name] = copy.copy(self.tables[name])
        view.tables[name].items = defaultdict(dict)
    for name, outer, inner in touched:
        _put(view.tables[name], outer, inner, copy.deepcopy(_get(self.tables[name], outer, inner)))
    original(_TRANSACT)(view, transact_items)
    for name, outer, inner in touched:
        _put(self.tables[name], outer, inner, _get(view.tables[name], outer, inner))


def _touched(backend: Any, transact_items: list[dict[str, Any]]) -> Iterator[tuple[str, Any, Any]]:
    """Table, partition key and sort key (None without one) of each item; moto refuses what is malformed."""
    from moto.dynamodb.models.dynamo_type import DynamoType  # noqa: PLC0415 - moto is heavy

    for item in transact_items:
        ((kind, operation),) = list(item.items())[:1]
        name = operation.get("TableName")
        key = operation.get("Item" if kind == "Put" else "Key") or {}
        table = backend.tables.get(name)
        if table is None or table.hash_key_attr not in key:
            continue
        inner = DynamoType(key[table.range_key_attr]) if table.has_range_key and table.range_key_attr in key else None
        yield name, DynamoType(key[table.hash_key_attr]), inner


def _get(table: Any, outer: Any, inner: Any) -> Any:
    if not table.has_range_key:
        return table.items.get(outer)
    return table.items[outer].get(inner) if outer in table.items else None


def _put(table: Any, outer: Any, inner: Any, item: Any) -> None:
    """None deletes."""
    if not table.has_range_key:
        if item is None:
            table.items.pop(outer, None)
        else:
            table.items[outer] = item
    elif item is not None:
        table.items[outer][inner] = item
    elif outer in table.items:
        table.items[outer].pop(inner, None)
