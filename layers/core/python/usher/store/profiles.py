"""PROFILE items: a person's latest ratings, each once, which count in the very next recommendations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import ProfileContended, is_condition_failed
from usher.store import keys
from usher.store.codec import stored
from usher.store.events import standing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: So many ratings count, the newest.
RECENT_MAX = 200
#: So many more may stand before the oldest go: taking them out is a second write, and two who do it at once collide.
SLACK = 40
KEPT_SECONDS = 90 * 86_400
#: Who collides adds again, to what the other has left.
ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Rated:
    """A rating as a profile holds it. at: epoch seconds. event: the mark of the event that brought it."""

    item_id: str
    rating: float
    at: float
    event: str


class Profiles:
    """The PROFILE items. dynamodb: a client that takes Python's own types, as a resource's has; it may be shared."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._name = dynamodb, table

    def add(self, user_hash: str, rated: Rated, now: float) -> None:
        """Add a rating, once however often it comes; ProfileContended when others were faster every time.

        Mostly this is one update that the table makes by itself, so nothing is lost between two writers. A profile
        that is full to the brim is written again without its oldest ratings, if it is still the one that was read.
        """
        expires = int(now) + KEPT_SECONDS
        for _ in range(ATTEMPTS):
            old = self._append(user_hash, rated, expires)
            if old is None or rated.event in old.get("events", ()) or self._rewrite(user_hash, old, rated, expires):
                return
        raise ProfileContended(f"a profile was changed {ATTEMPTS} times while a rating was added: send it again")

    def _append(self, user_hash: str, rated: Rated, expires: int) -> dict[str, Any] | None:
        """None when it was added; else the profile that stands: it is full, or has the rating."""
        return self._update(
            user_hash,
            "SET recent = list_append(if_not_exists(recent, :none), :rows), expires_at = :expires "
            "ADD events :events, revision :one",
            "attribute_not_exists(recent) OR (NOT contains(events, :event) AND size(recent) < :most)",
            {
                ":none": [],
                ":rows": [stored(asdict(rated))],
                ":expires": expires,
                ":events": {rated.event},
                ":one": 1,
                ":event": rated.event,
                ":most": RECENT_MAX + SLACK,
            },
        )

    def _rewrite(self, user_hash: str, old: Mapping[str, Any], rated: Rated, expires: int) -> bool:
        """Whether the profile has become the newest of `old` and the rating; False when it is no longer `old`."""
        rows = newest([*old.get("recent", ()), stored(asdict(rated))])
        seen = {":seen": old["revision"]} if "revision" in old else {}
        values = {
            ":rows": rows,
            ":events": {str(row["event"]) for row in rows if "event" in row} | {rated.event},
            ":expires": expires,
            ":next": int(old.get("revision", 0)) + 1,
            **seen,
        }
        change = "SET recent = :rows, events = :events, expires_at = :expires, revision = :next"
        unchanged = "revision = :seen" if seen else "attribute_not_exists(revision)"
        return self._update(user_hash, change, unchanged, values) is None

    def _update(self, user_hash: str, change: str, condition: str, values: dict[str, Any]) -> dict[str, Any] | None:
        """None when the condition held; else the item as it stands."""
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=keys.profile(user_hash).item(),
                UpdateExpression=change,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            return standing(error)
        return None


def newest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest rating of each item, oldest first, at most RECENT_MAX."""
    ordered = sorted(rows, key=lambda row: row["at"])
    latest = {row["item_id"]: row for row in ordered}
    return [row for row in ordered if latest[row["item_id"]] is row][-RECENT_MAX:]
