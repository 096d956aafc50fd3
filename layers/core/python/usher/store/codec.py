"""Items on their way into and out of the state table: numbers, which DynamoDB has as Decimal, and batch reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from usher.store.keys import Key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

#: DynamoDB's limit for one BatchGetItem.
_BATCH_KEYS = 100


def stored(value: Any) -> Any:
    """A JSON value as DynamoDB takes it; ValueError for NaN and infinity, which it refuses."""
    if isinstance(value, bool) or value is None or isinstance(value, str | int | Decimal):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be stored: a number has to be finite")
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {str(name): stored(member) for name, member in value.items()}
    return [stored(member) for member in value]


def loaded(value: Any) -> Any:
    """What was stored, with int and float again."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {name: loaded(member) for name, member in value.items()}
    if isinstance(value, list):
        return [loaded(member) for member in value]
    return value


def read_batches(
    dynamodb: DynamoDBServiceResource, table: str, keys: Sequence[Key], *, consistent: bool = False
) -> Iterator[Mapping[str, Any]]:
    """The existing items of these keys, in any order, with numbers as Decimal."""
    for start in range(0, len(keys), _BATCH_KEYS):
        batch = [key.item() for key in keys[start : start + _BATCH_KEYS]]
        request: Any = {table: {"Keys": batch, "ConsistentRead": consistent}}
        while request:
            page: Any = dynamodb.batch_get_item(RequestItems=request)
            yield from page["Responses"].get(table, [])
            request = page.get("UnprocessedKeys")
