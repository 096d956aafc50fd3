"""EVENT items of the state table: each event id is kept once, and remembers what was answered once it was forwarded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from usher.errors import is_condition_failed
from usher.feedback.entry import Feedback
from usher.store import keys
from usher.store.codec import loaded, stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: So long an event may be sent again without being taken for a new one; then DynamoDB deletes the item.
KEPT_SECONDS = 30 * 86_400


class EventTaken(Exception):
    """The event id is that of another event."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of an event that was taken. reason: why it is not counted, None when it is."""

    counted: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """An event that stands. at: epoch seconds, as first kept. answer: what was said once it had been forwarded."""

    at: float
    answer: Answer | None = None


class Events:
    """The EVENT items. dynamodb: a client that takes Python's own types, as a resource's has; it may be shared."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._name = dynamodb, table

    def keep(self, feedback: Feedback, now: float) -> Kept:
        """Write the event, unless it stands already; EventTaken when another stands under its id."""
        at = feedback.at if feedback.at is not None else round(now, 6)
        try:
            self._put(feedback, at, now, {"forwarded": False}, ConditionExpression="attribute_not_exists(pk)")
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            return _kept(standing(error), feedback.digest())
        return Kept(at)

    def finish(self, feedback: Feedback, at: float, answer: Answer, now: float) -> bool:
        """Write down that the event was forwarded, and what was answered; False when it was done before."""
        said = {"forwarded": True, "counted": answer.counted, "reason": answer.reason}
        open_still = {"ConditionExpression": "forwarded = :no", "ExpressionAttributeValues": {":no": False}}
        try:
            self._put(feedback, at, now, said, **open_still)
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            return False
        return True

    def _put(self, feedback: Feedback, at: float, now: float, said: dict[str, Any], **condition: Any) -> None:
        fields = {"digest": feedback.digest(), "at": at, "expires_at": int(now) + KEPT_SECONDS, **said}
        self._dynamodb.put_item(
            TableName=self._name,
            Item=keys.event(feedback.event_id).item() | stored(fields),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **condition,
        )


def standing(error: ClientError) -> dict[str, Any]:
    """The item that made a condition fail, which the error brings along in DynamoDB's notation; empty for none."""
    read, response = TypeDeserializer().deserialize, dict[str, Any](error.response)
    return {name: read(value) for name, value in response.get("Item", {}).items()}


def _kept(item: dict[str, Any], digest: str) -> Kept:
    if item.get("digest") != digest:
        raise EventTaken
    answer = Answer(bool(item["counted"]), item["reason"]) if item["forwarded"] else None
    return Kept(float(loaded(item["at"])), answer)
