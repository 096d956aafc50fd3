"""Conditional writes: members of a transaction, which succeed together or not at all, and what a condition met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from usher.errors import code
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


def existing_item(error: ClientError) -> dict[str, Any]:
    """The item that made a condition fail, from a write with ReturnValuesOnConditionCheckFailure; empty for none."""
    read, response = TypeDeserializer().deserialize, dict[str, Any](error.response)
    return {name: read(value) for name, value in response.get("Item", {}).items()}
