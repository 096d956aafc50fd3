"""EXPERIMENT#id: the items of one experiment as they are stored, unchecked, for display."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from usher.store import keys
from usher.store.codec import loaded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: Kinds of items, the part of a sort key before its first `#`.
META, STATE, EPOCH, STRATUM, DECISION, COMMAND = "META", "STATE", "EPOCH", "STRATUM", "DECISION", "COMMAND"

Item = Mapping[str, Any]


def read_meta(table: Table, experiment_id: str) -> Item | None:
    """The experiment's description, None when there is no such experiment."""
    return _get(table, keys.experiment(experiment_id).item())


def read_state(table: Table, experiment_id: str) -> Item | None:
    """The state that the controller stored last."""
    return _get(table, keys.experiment_state(experiment_id).item())


def read_items(table: Table, experiment_id: str) -> dict[str, list[Item]]:
    """All items by kind, ordered by time within each kind."""
    by_kind: dict[str, list[Item]] = {}
    for item in _query(table, experiment_id, ""):
        by_kind.setdefault(str(item["sk"]).partition("#")[0], []).append(item)
    return by_kind


def read_kind(table: Table, experiment_id: str, kind: str, newest: int = 0) -> list[Item]:
    """The items of one kind, oldest first. newest: only the last so many; 0: all."""
    return _query(table, experiment_id, f"{kind}#", newest)


def _get(table: Table, key: dict[str, str]) -> Item | None:
    item = table.get_item(Key=key, ConsistentRead=True).get("Item")
    return None if item is None else dict(loaded(item))


def _query(table: Table, experiment_id: str, prefix: str, newest: int = 0) -> list[Item]:
    values = {":pk": keys.experiment(experiment_id).pk, **({":prefix": prefix} if prefix else {})}
    request: Any = {
        "TableName": table.name,
        "KeyConditionExpression": "pk = :pk" + (" AND begins_with(sk, :prefix)" if prefix else ""),
        "ExpressionAttributeValues": values,
        "ConsistentRead": True,
    }
    client = table.meta.client
    if newest:
        page = client.query(**request, ScanIndexForward=False, Limit=newest)
        return [loaded(item) for item in reversed(page["Items"])]
    return [loaded(item) for page in client.get_paginator("query").paginate(**request) for item in page["Items"]]
