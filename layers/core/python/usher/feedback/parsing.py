"""Parses and checks `POST /feedback`: an API Gateway event becomes entries, each accepted or refused by itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from usher.api.problems import Problem
from usher.api.requests import operation_of, read_json
from usher.api.validation import Schema, check, refuse_unknown
from usher.schema.ids import check_id, hash_user_id
from usher.schema.interactions import KINDS, RATING, RATING_MAX, RATING_MIN, on_scale
from usher.schema.times import iso, seconds_of

BODY_MAX_BYTES = 262_144
#: A client's clock may be ahead by this much.
AHEAD_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Feedback:
    """A checked entry of `POST /feedback`.

    type:  rating, click, purchase or view. value: the rating, or the value of another event, or None.
    at:    epoch seconds; None where no time was sent: it is then the time at which the event is first stored.
    recommendation_id: of the recommendation that it followed, or empty.
    """

    event_id: str
    user_id: str
    item_id: str
    type: str
    value: float | None = None
    at: float | None = None
    recommendation_id: str = ""

    @property
    def user_id_hash(self) -> str:
        """The hash of the user id."""
        return hash_user_id(self.user_id)

    @property
    def event_key(self) -> str:
        """A short digest of the event id: the reference to this event in other items of the state table."""
        return hashlib.sha256(self.event_id.encode()).hexdigest()[:16]

    def digest(self) -> str:
        """Of everything that was sent, 32 hex characters: one event id has one content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]

    def row(self, at: float) -> tuple[str, dict[str, Any]]:
        """The data set and the row of the lake; `at`: epoch seconds, the same at every retry."""
        ids = {"user_id": self.user_id, "item_id": self.item_id}
        if self.type == KINDS[RATING]:
            return "ratings", {**ids, "rating": self.value, "rated_at": iso(at)}
        row: dict[str, Any] = {"event_id": self.event_id, **ids, "type": self.type, "occurred_at": iso(at)}
        optional = {"value": self.value, "recommendation_id": self.recommendation_id or None}
        return "events", row | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that is refused. event_id: None when the entry has no readable one."""

    event_id: str | None
    problem: Problem


Entry = Feedback | Refused


@dataclass(frozen=True, slots=True)
class Batch:
    """The entries of a request. single: the body was one object, and so is the response."""

    entries: tuple[Entry, ...]
    single: bool


def read(event: Mapping[str, Any], now: float) -> Batch:
    """The feedback of an event; Problem when the request as a whole is malformed. now: epoch seconds."""
    operation = operation_of(event, "feedback")
    if event.get("rawQueryString"):
        refuse_unknown({str(event["rawQueryString"]).partition("=")[0]}, {})
    value = read_json(event, BODY_MAX_BYTES)
    single, several = (operation.body or {})["oneOf"]  # one entry, or a list of entries
    if not isinstance(value, list):
        return Batch((_entry(single, value, "", now),), single=True)
    least, most = several["minItems"], several["maxItems"]
    if not least <= len(value) <= most:
        raise Problem("bad-body", f"the list has {len(value)} entries: {least} to {most} are allowed", "body")
    return Batch(tuple(_entry(single, one, f"[{n}]", now) for n, one in enumerate(value)), single=False)


def _entry(schema: Schema, value: Any, name: str, now: float) -> Entry:
    try:
        check(schema, value, name)
        return _checked(value, f"{name}." if name else "", now)
    except Problem as problem:
        given = value.get("event_id") if isinstance(value, dict) else None
        return Refused(given if isinstance(given, str) and check_id(given) is None else None, problem)


def _checked(value: Mapping[str, Any], name: str, now: float) -> Feedback:
    """Check what the schema cannot express: a rating is on the scale, and no time is in the future."""
    number = float(value["value"]) if "value" in value else None
    if value["type"] == KINDS[RATING]:
        _check_rating(number, f"{name}value")
    at = _time(value["at"], f"{name}at", now) if "at" in value else None
    claimed = value.get("recommendation_id", "")
    if not (claimed.isascii() and claimed.isprintable()):
        field = f"{name}recommendation_id"
        raise Problem("bad-parameter", f"{field} is damaged: send it as the API returned it", field)
    given = {field: value[field] for field in ("event_id", "user_id", "item_id", "type")}
    return Feedback(**given, value=number, at=at, recommendation_id=claimed)


def _check_rating(number: float | None, name: str) -> None:
    if number is None:
        detail = f"{name} is missing: a rating has one, from {RATING_MIN} to {RATING_MAX}"
        raise Problem("missing-parameter", detail, name)
    if not on_scale(number):
        raise Problem("bad-parameter", f"{name} is {number:g}: a rating is from {RATING_MIN} to {RATING_MAX}", name)


def _time(value: str | float, name: str, now: float) -> float:
    try:
        at = seconds_of(value)
    except ValueError as error:
        raise Problem("bad-parameter", f"{name} {error}", name) from None
    if at > now + AHEAD_SECONDS:
        raise Problem(
            "bad-parameter", f"{name} is {at - now:.0f} s in the future: {AHEAD_SECONDS:.0f} s are allowed", name
        )
    return at
