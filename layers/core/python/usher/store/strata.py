"""EXPERIMENT#id/EPOCH#version and STRATUM#version: a router version that has ended, and the users counted under it.

An epoch says when a version began and ended. A stratum is written once, when its users have been counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key

from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.transactions import write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


@dataclass(frozen=True, slots=True)
class Epoch:
    """One router version that has ended. weights: by role. void: why none of its users count, or empty."""

    version: int
    weights: Mapping[str, float]
    opened_at: float
    closed_at: float
    void: str = ""


def ended_epochs(table: Table, experiment_id: str, after_version: int, limit: int) -> list[Epoch]:
    """The epochs after a version, oldest first, at most `limit`."""
    later = Key("sk").between(keys.epoch(experiment_id, after_version + 1).sk, "EPOCH#:")
    condition = Key("pk").eq(keys.experiment(experiment_id).pk) & later
    items: Any = loaded(table.query(KeyConditionExpression=condition, Limit=limit, ConsistentRead=True)["Items"])
    return [
        Epoch(item["version"], item["weights"], item["opened_at"], item["closed_at"], item.get("void", ""))
        for item in items
    ]


def read_stratum(table: Table, experiment_id: str, version: int) -> Any:
    """A counted stratum's item, or None."""
    return table.get_item(Key=keys.stratum(experiment_id, version).item(), ConsistentRead=True).get("Item")


def write_stratum(table: Table, experiment_id: str, item: Mapping[str, Any]) -> Any:
    """Write a counted stratum once; the stored item, which another tick may have written first."""
    key, once = keys.stratum(experiment_id, item["version"]), "attribute_not_exists(pk)"
    existing = write_if(table.put_item, Item=key.item() | stored(item), ConditionExpression=once)
    return item if existing is None else read_stratum(table, experiment_id, item["version"])
