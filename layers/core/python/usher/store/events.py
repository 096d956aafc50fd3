"""EVENT items: each event id is stored once, with the result that was returned once the event was forwarded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.transactions import write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: A repeated event is recognised for this long; then DynamoDB deletes the item.
TTL_SECONDS = 30 * 86_400


class EventIdTaken(Exception):
    """Another event, with other content, was stored under this event id."""


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """What the API returns for an accepted event. reason: why it is not counted, None when it is."""

    counted: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """at: epoch seconds, as first stored. result: None until the event has been forwarded to the lake."""

    at: float
    result: FeedbackResult | None = None


class Events:
    """The EVENT items. dynamodb: a client that takes Python types, as a resource's client does; threads may share it.

    digest: of everything that was sent, so that one event id has one content. now, at: epoch seconds.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._name = dynamodb, table

    def add(self, event_id: str, digest: str, at: float, now: float) -> StoredEvent:
        """Store the event unless it is stored already; EventIdTaken when its id was sent with other content."""
        fields, condition = {"forwarded": False}, "attribute_not_exists(pk)"
        existing = self._put(event_id, digest, at, now, fields, ConditionExpression=condition)
        if existing is None:
            return StoredEvent(at)
        if existing.get("digest") != digest:
            raise EventIdTaken(f"event id {event_id!r} was sent before with other content: give each event its own id")
        result = FeedbackResult(bool(existing["counted"]), existing["reason"]) if existing["forwarded"] else None
        return StoredEvent(float(loaded(existing["at"])), result)

    def complete(self, event_id: str, digest: str, at: float, result: FeedbackResult, now: float) -> bool:
        """Record that the event was forwarded, and its result; False when that was recorded before."""
        fields = {"forwarded": True, "counted": result.counted, "reason": result.reason}
        condition = {"ConditionExpression": "forwarded = :no", "ExpressionAttributeValues": {":no": False}}
        return self._put(event_id, digest, at, now, fields, **condition) is None

    def _put(
        self, event_id: str, digest: str, at: float, now: float, fields: dict[str, Any], **condition: Any
    ) -> dict[str, Any] | None:
        """None when the condition held; else the item that exists."""
        item = {"digest": digest, "at": at, "expires_at": int(now) + TTL_SECONDS, **fields}
        return write_if(
            self._dynamodb.put_item,
            TableName=self._name,
            Item=keys.event(event_id).item() | stored(item),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **condition,
        )
