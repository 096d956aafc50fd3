"""Conditional writes: single ones, and members of a transaction, which succeed together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from usher.errors import code, is_condition_failed
from usher.store.codec import stored
from usher.store.keys import Key


def is_cancelled(error: ClientError) -> bool:
    """Whether a condition of the transaction did not hold, or another transaction was at the same items."""
    return code(error) in ("TransactionCanceledException", "TransactionConflictException")


def update(table: str, key: Key, fields: Mapping[str, Any], condition: str = "", **values: Any) -> dict[str, Any]:
    """SET of `fields` (None removes one) as a member of a transaction. values: what the condition names, `:name`."""
    names = {f"#{number}": name for number, name in enumerate(fields)}
    given = {f":{number}": stored(value) for number, value in enumerate(fields.values()) if value is not None}
    sets = [f"#{number} = :{number}" for number, value in enumerate(fields.values()) if value is not None]
    removes = [f"#{number}" for number, value in enumerate(fields.values()) if value is None]
    parts = [f"{verb} {', '.join(terms)}" for verb, terms in (("SET", sets), ("REMOVE", removes)) if terms]
    given |= {f":{name}": stored(value) for name, value in values.items()}
    return {
        "TableName": table,
        "Key": key.item(),
        "UpdateExpression": " ".join(parts),
        "ExpressionAttributeNames": names,
        **({"ExpressionAttributeValues": given} if given else {}),
        **({"ConditionExpression": condition} if condition else {}),
    }


def write_if(write: Callable[..., object], **request: Any) -> dict[str, Any] | None:
    """A conditional write; None when its condition held, else the existing item.

    The item is empty unless the request has ReturnValuesOnConditionCheckFailure.
    """
    try:
        write(**request)
    except ClientError as error:
        if not is_condition_failed(error):
            raise
        read, response = TypeDeserializer().deserialize, dict[str, Any](error.response)
        return {name: read(value) for name, value in response.get("Item", {}).items()}
    return None
