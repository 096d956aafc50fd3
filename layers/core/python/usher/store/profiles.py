"""PROFILE items: a user's latest ratings, which count in the next recommendations; and one read of all about a user."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key

from usher.errors import ProfileContended
from usher.schema.interactions import on_scale
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.exposures import Exposure, enrol, exposure_of
from usher.store.transactions import write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.service_resource import Table

#: The newest ratings of a user that count.
RECENT_MAX = 200
#: Ratings above RECENT_MAX before the oldest are removed: removing them is a second write that can collide.
SLACK = 40
TTL_SECONDS = 90 * 86_400
#: Attempts to add a rating while other writers change the same profile.
ATTEMPTS = 10
#: Items of a user that one Query reads: the profile, and exposures of the experiments of the last sixty days.
PAGE_ITEMS = 16


@dataclass(frozen=True, slots=True)
class ProfileRating:
    """A rating in a profile. at: epoch seconds. event: the key of the event that brought it."""

    item_id: str
    rating: float
    at: float
    event: str = ""


@dataclass(frozen=True, slots=True)
class UserState:
    """recent: oldest first. exposure: in the experiment that was read for. was_read: False when the read failed."""

    recent: tuple[ProfileRating, ...] = ()
    exposure: Exposure | None = None
    was_read: bool = True


class Profiles:
    """The PROFILE items as feedback writes them.

    dynamodb: a client that takes Python types, as a resource's client does; threads may share it.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._name = dynamodb, table

    def add(self, user_id_hash: str, rating: ProfileRating, now: float) -> None:
        """Add a rating; idempotent by its event. ProfileContended when other writers were faster at every attempt.

        Usually this is one atomic update, so that concurrent writers lose nothing. A full profile is rewritten
        without its oldest ratings, on the condition that it has not changed since it was read.
        """
        expires = int(now) + TTL_SECONDS
        for _ in range(ATTEMPTS):
            old = self._append(user_id_hash, rating, expires)
            if (
                old is None
                or rating.event in old.get("events", ())
                or self._rewrite(user_id_hash, old, rating, expires)
            ):
                return
        raise ProfileContended(f"a profile was changed {ATTEMPTS} times while a rating was added: send it again")

    def _append(self, user_id_hash: str, rating: ProfileRating, expires: int) -> dict[str, Any] | None:
        """None when it was added; else the existing profile, which is full or has the rating already."""
        return self._update(
            user_id_hash,
            "SET recent = list_append(if_not_exists(recent, :none), :rows), expires_at = :expires "
            "ADD events :events, revision :one",
            "attribute_not_exists(recent) OR (NOT contains(events, :event) AND size(recent) < :most)",
            {
                ":none": [],
                ":rows": [stored(asdict(rating))],
                ":expires": expires,
                ":events": {rating.event},
                ":one": 1,
                ":event": rating.event,
                ":most": RECENT_MAX + SLACK,
            },
        )

    def _rewrite(self, user_id_hash: str, old: Mapping[str, Any], rating: ProfileRating, expires: int) -> bool:
        """Whether the newest ratings of `old` and `rating` were written; False when the profile has changed."""
        rows = newest([*old.get("recent", ()), stored(asdict(rating))])
        seen = {":seen": old["revision"]} if "revision" in old else {}
        values = {
            ":rows": rows,
            ":events": {str(row["event"]) for row in rows if "event" in row} | {rating.event},
            ":expires": expires,
            ":next": int(old.get("revision", 0)) + 1,
            **seen,
        }
        change = "SET recent = :rows, events = :events, expires_at = :expires, revision = :next"
        unchanged = "revision = :seen" if seen else "attribute_not_exists(revision)"
        return self._update(user_id_hash, change, unchanged, values) is None

    def _update(self, user_id_hash: str, change: str, condition: str, values: dict[str, Any]) -> dict[str, Any] | None:
        """None when the condition held; else the existing item."""
        return write_if(
            self._dynamodb.update_item,
            TableName=self._name,
            Key=keys.profile(user_id_hash).item(),
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )


def newest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest rating of each item, oldest first, at most RECENT_MAX."""
    ordered = sorted(rows, key=lambda row: row["at"])
    latest = {row["item_id"]: row for row in ordered}
    return [row for row in ordered if latest[row["item_id"]] is row][-RECENT_MAX:]


def read_user(table: Table, user_id_hash: str, experiment_id: str) -> UserState:
    """The user's profile and exposure, read consistently: a rating or an enrolment counts in the next request.

    experiment_id: of the open experiment, or empty. The Query sorts backwards, so that the profile comes first; when
    exposures of other experiments fill the page, this experiment's exposure is read by its key.
    """
    profile, exposure = keys.profile(user_id_hash), keys.exposure(user_id_hash, experiment_id)
    page: Any = table.query(
        KeyConditionExpression=Key("pk").eq(profile.pk)
        & Key("sk").between(exposure.sk if experiment_id else profile.sk, profile.sk),
        ScanIndexForward=False,
        Limit=PAGE_ITEMS,
        ConsistentRead=True,
    )
    items = {item["sk"]: item for item in page["Items"]}
    if experiment_id and exposure.sk not in items and "LastEvaluatedKey" in page:
        items[exposure.sk] = table.get_item(Key=exposure.item(), ConsistentRead=True).get("Item")
    recent = _ratings_of(items.get(profile.sk))
    return UserState(recent, exposure_of(items.get(exposure.sk)) if experiment_id else None)


class Users:
    """Reads and enrols users; a failure is reported and never fails a request.

    unread, unwritten: called with the exception.
    """

    def __init__(
        self, table: Table, unread: Callable[[Exception], None], unwritten: Callable[[Exception], None]
    ) -> None:
        self._table, self._unread, self._unwritten = table, unread, unwritten

    def read(self, user_id_hash: str, experiment_id: str) -> UserState:
        """The user's state; an empty one when the table cannot be read, since the bundle may know the user."""
        try:
            return read_user(self._table, user_id_hash, experiment_id)
        except Exception as error:  # noqa: BLE001 - whatever it was, the request is answered without the state
            self._unread(error)
            return UserState(was_read=False)

    def enrol(self, user_id_hash: str, experiment_id: str, exposure: Exposure) -> Exposure | None:
        """The exposure that is stored now; None when the write failed, and the user counts as not enrolled."""
        try:
            return enrol(self._table, user_id_hash, experiment_id, exposure)
        except Exception as error:  # noqa: BLE001 - the user gets the answer; the next request enrols
            self._unwritten(error)
            return None


def _ratings_of(item: Any) -> tuple[ProfileRating, ...]:
    """The ratings of a profile item, oldest first; rows without a rating on the scale are ignored."""
    rows = (loaded(item) or {}).get("recent", ())
    ratings = [rating for row in rows if (rating := _rating_of(row)) is not None]
    return tuple(sorted(ratings, key=lambda rating: rating.at)[-RECENT_MAX:])


def _rating_of(row: Any) -> ProfileRating | None:
    try:
        rating = ProfileRating(str(row["item_id"]), float(row["rating"]), float(row["at"]))
    except (KeyError, TypeError, ValueError):
        return None
    return rating if on_scale(rating.rating) and math.isfinite(rating.at) and rating.at >= 0 else None
