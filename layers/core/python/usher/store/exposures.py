"""EXPOSURE items: a user's first exposure in an experiment, written once, and its outcome, which counts once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.router import VARIANTS, Variant
from usher.store.transactions import write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.service_resource import Table

#: An exposure outlives every experiment (three weeks and the longest attribution window); then DynamoDB deletes it.
TTL_SECONDS = 60 * 86_400


@dataclass(frozen=True, slots=True)
class Exposure:
    """variant: the one that was shown. version: of the router it was shown under. enrolled_at: epoch seconds."""

    variant: Variant
    version: int
    enrolled_at: float


@dataclass(frozen=True, slots=True)
class ExposureStatus:
    """What feedback needs of an exposure. enrolled_at: epoch seconds, None when the user has no exposure.

    converted_by: the key of the event that counted as the outcome; empty when none has counted.
    """

    enrolled_at: float | None = None
    converted_by: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> ExposureStatus:
        """The status of an item; an item without a usable time counts as no exposure."""
        try:
            return cls(float(item["enrolled_at"]), str(item.get("converted_by", "")))
        except (KeyError, TypeError, ValueError):
            return cls()

    def is_open(self, now: float, window_seconds: float) -> bool:
        """Whether an outcome of this user may still arrive."""
        return self.enrolled_at is not None and now <= self.enrolled_at + window_seconds


def exposure_of(item: Mapping[str, Any] | None) -> Exposure | None:
    """The exposure of an item; None when there is no item or its fields are not those of an exposure."""
    fields: Any = loaded(item or {})
    try:
        exposure = Exposure(fields["variant"], int(fields["version"]), float(fields["enrolled_at"]))
    except (KeyError, TypeError, ValueError):
        return None
    return exposure if exposure.variant in VARIANTS else None


def enrol(table: Table, user_id_hash: str, experiment_id: str, exposure: Exposure) -> Exposure | None:
    """Write the user's first exposure and return the stored one: this, or one that another request wrote before.

    None when the stored item is not a valid exposure. An AWS error when it could not be written.
    """
    fields = {
        "variant": exposure.variant,
        "version": exposure.version,
        "enrolled_at": round(exposure.enrolled_at, 3),
        "GSI1pk": keys.exposure_shard(experiment_id, exposure.version, user_id_hash),
        "expires_at": int(exposure.enrolled_at) + TTL_SECONDS,
    }
    existing = write_if(
        table.put_item,
        Item=keys.exposure(user_id_hash, experiment_id).item() | stored(fields),
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    return exposure if existing is None else exposure_of(existing)


def exposures(table: Table, experiment_id: str, version: int) -> Iterator[Mapping[str, Any]]:
    """Every exposure under a router version, page by page: variant, enrolled_at, converted_at, reward."""
    query = table.meta.client.get_paginator("query")
    for shard in keys.exposure_shards(experiment_id, version):
        for page in query.paginate(
            TableName=table.name,
            IndexName=keys.EXPOSURE_INDEX,
            KeyConditionExpression="GSI1pk = :shard",
            ExpressionAttributeValues={":shard": shard},
            ProjectionExpression="#variant, enrolled_at, converted_at, reward",
            ExpressionAttributeNames={"#variant": "variant"},
        ):
            yield from page["Items"]


class Exposures:
    """The EXPOSURE items as feedback uses them.

    dynamodb: a client that takes Python types, as a resource's client does; threads may share it.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._name = dynamodb, table

    def find(self, user_id_hash: str, experiment_id: str) -> ExposureStatus:
        """The status of a user's exposure in an experiment."""
        key = keys.exposure(user_id_hash, experiment_id).item()
        answer = self._dynamodb.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        return ExposureStatus.of(answer.get("Item", {}))

    def convert(  # noqa: PLR0913 - the fields of an outcome
        self, user_id_hash: str, experiment_id: str, *, now: float, since: float, reward: float, event_key: str
    ) -> ExposureStatus | None:
        """Write the user's outcome; None when it was written, else the status of the existing exposure.

        now: when it arrived. since: the earliest enrolment whose window is still open. Both in epoch seconds.
        """
        values = {":now": round(now, 3), ":reward": reward, ":event": event_key, ":since": since}
        existing = write_if(
            self._dynamodb.update_item,
            TableName=self._name,
            Key=keys.exposure(user_id_hash, experiment_id).item(),
            UpdateExpression="SET converted_at = :now, reward = :reward, converted_by = :event",
            ConditionExpression="attribute_not_exists(converted_at) AND enrolled_at >= :since",
            ExpressionAttributeValues=stored(values),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return None if existing is None else ExposureStatus.of(existing)
