"""What the state table knows of one person, in one Query: the latest ratings and the enrolment."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key

from usher.schema.interactions import on_scale
from usher.store import keys
from usher.store.codec import loaded
from usher.store.enrolment import Exposure, enrol, exposure_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: So many of a person's latest ratings are kept (contracts: profile).
RECENT_MAX = 200
#: So many items of a person are read at once: the profile, and exposures of experiments of the last sixty days.
PAGE_ITEMS = 16


@dataclass(frozen=True, slots=True)
class Recent:
    """One of a person's latest ratings. at: epoch seconds."""

    item_id: str
    rating: float
    at: float


@dataclass(frozen=True, slots=True)
class Person:
    """recent: oldest first. exposure: in the experiment that was asked for. was_read: False when nothing is known."""

    recent: tuple[Recent, ...] = ()
    exposure: Exposure | None = None
    was_read: bool = True


def read_person(table: Table, user_hash: str, experiment_id: str) -> Person:
    """The person, read consistently: a rating counts in the next request, and so does an enrolment.

    experiment_id: the open experiment's, or empty. Sorted backwards the profile comes first and the exposures of other
    experiments before this one's are bounded: past the page it is read by its key.
    """
    profile = keys.profile(user_hash)
    exposure = keys.exposure(user_hash, experiment_id)
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
    return Person(_recent_of(items.get(profile.sk)), exposure_of(items.get(exposure.sk)) if experiment_id else None)


class People:
    """Reads and enrols people; what goes wrong is told and never fails a request.

    unread, unwritten: are told the exception.
    """

    def __init__(
        self, table: Table, unread: Callable[[Exception], None], unwritten: Callable[[Exception], None]
    ) -> None:
        self._table, self._unread, self._unwritten = table, unread, unwritten

    def read(self, user_hash: str, experiment_id: str) -> Person:
        """The person; one of whom nothing is known when the state is out of reach: the bundle may know them."""
        try:
            return read_person(self._table, user_hash, experiment_id)
        except Exception as error:  # noqa: BLE001 - whatever it was, the answer goes on without
            self._unread(error)
            return Person(was_read=False)

    def enrol(self, user_hash: str, experiment_id: str, exposure: Exposure) -> Exposure | None:
        """The exposure that stands now; None when it is not known, and nobody may claim an enrolment."""
        try:
            return enrol(self._table, user_hash, experiment_id, exposure)
        except Exception as error:  # noqa: BLE001 - the person has their answer; the next request enrols them
            self._unwritten(error)
            return None


def _recent_of(item: Any) -> tuple[Recent, ...]:
    """What a profile item holds, oldest first; what is no rating on the scale is passed over."""
    rows = (loaded(item) or {}).get("recent", ())
    found = [recent for row in rows if (recent := _recent(row)) is not None]
    return tuple(sorted(found, key=lambda recent: recent.at)[-RECENT_MAX:])


def _recent(row: Any) -> Recent | None:
    try:
        recent = Recent(str(row["item_id"]), float(row["rating"]), float(row["at"]))
    except (KeyError, TypeError, ValueError):
        return None
    return recent if on_scale(recent.rating) and math.isfinite(recent.at) and recent.at >= 0 else None
