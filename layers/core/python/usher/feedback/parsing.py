"""An event of API Gateway becomes checked feedback; of a list each entry by itself, good or refused with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from usher.api.openapi import Operation
from usher.api.problems import Problem
from usher.api.request_body import read_json
from usher.api.validation import Schema, check, refuse_unknown
from usher.feedback.entry import Feedback
from usher.schema.datasets import DATASETS
from usher.schema.ids import check_id
from usher.schema.times import seconds_of
from usher.serving.request import operation_of

BODY_MAX_BYTES = 262_144
#: A client's clock may be so far ahead of ours, in seconds.
AHEAD_SECONDS = 300.0
_RATING = DATASETS["ratings"].field("rating")


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that is not taken. event_id: None where none can be read."""

    event_id: str | None
    problem: Problem


Entry = Feedback | Refused


@dataclass(frozen=True, slots=True)
class Batch:
    """What a request brought. single: one object, which is answered by itself."""

    entries: tuple[Entry, ...]
    single: bool


def read(event: Mapping[str, Any], now: float) -> Batch:
    """The feedback of an event; Problem for a request that is none. now: epoch seconds."""
    operation = operation_of(event, "feedback")
    if event.get("rawQueryString"):
        refuse_unknown({str(event["rawQueryString"]).partition("=")[0]}, {})
    value = read_json(event, BODY_MAX_BYTES)
    single, several = _schemas(operation)
    if not isinstance(value, list):
        return Batch((_entry(single, value, "", now),), single=True)
    least, most = several["minItems"], several["maxItems"]
    if not least <= len(value) <= most:
        raise Problem("bad-body", f"the list has {len(value)} entries: {least} to {most} are allowed", "body")
    return Batch(tuple(_entry(single, one, f"[{n}]", now) for n, one in enumerate(value)), single=False)


def _schemas(operation: Operation) -> tuple[Schema, Schema]:
    """The document's schema of one object, and of a list of them."""
    single, several = (operation.body or {})["oneOf"]
    return single, several


def _entry(schema: Schema, value: Any, name: str, now: float) -> Entry:
    try:
        check(schema, value, name)
        return _checked(value, f"{name}." if name else "", now)
    except Problem as problem:
        given = value.get("event_id") if isinstance(value, dict) else None
        return Refused(given if isinstance(given, str) and check_id(given) is None else None, problem)


def _checked(value: Mapping[str, Any], name: str, now: float) -> Feedback:
    """What the schema cannot say: a rating has a value on its scale, and nothing is of the future."""
    number = float(value["value"]) if "value" in value else None
    if value["type"] == "rating":
        _check_rating(number, f"{name}value")
    at = _time(value["at"], f"{name}at", now) if "at" in value else None
    claimed = value.get("recommendation_id", "")
    if not (claimed.isascii() and claimed.isprintable()):
        raise Problem(
            "bad-parameter", f"{name}recommendation_id is none: send it as it was given", f"{name}recommendation_id"
        )
    given = {field: value[field] for field in ("event_id", "user_id", "item_id", "type")}
    return Feedback(**given, value=number, at=at, recommendation_id=claimed)


def _check_rating(number: float | None, name: str) -> None:
    least, most = _RATING.minimum, _RATING.maximum
    if number is None:
        raise Problem("missing-parameter", f"{name} is missing: a rating has one, from {least} to {most}", name)
    if least is not None and most is not None and not least <= number <= most:
        raise Problem("bad-parameter", f"{name} is {number:g}: a rating is from {least} to {most}", name)


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
