"""A recommendation request: the checked parameters of one operation of the read path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from usher.api.openapi import Operation
from usher.api.problems import Problem
from usher.api.requests import operation_of, read_json, read_query
from usher.api.validation import check
from usher.schema.interactions import LIKED_RATING

BODY_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request. session: (item id, rating) in the order in which the user acted, oldest first."""

    operation: str
    limit: int = 10
    user_id: str | None = None
    item_id: str = ""
    genre: str = ""
    exclude: tuple[str, ...] = ()
    not_released_after: str = ""
    explain: bool = False
    session: tuple[tuple[str, float], ...] = field(default=())


def read(event: Mapping[str, Any]) -> Request:
    """The request of an API Gateway event; Problem for anything that the OpenAPI document does not allow."""
    operation = operation_of(event, "recommend")
    values = read_query(operation, event)
    if operation.body is not None:
        values |= _body(operation, event)
        if not values.get("session") and "user_id" not in values:
            raise Problem("missing-parameter", "send session, user_id or both", "session")
    session = tuple((row["item_id"], float(row.get("rating", LIKED_RATING))) for row in values.pop("session", ()))
    exclude = tuple(values.pop("exclude", ()))
    return Request(operation.id, session=session, exclude=exclude, **values)


def _body(operation: Operation, event: Mapping[str, Any]) -> dict[str, Any]:
    value = read_json(event, BODY_MAX_BYTES)
    check(operation.body or {}, value, "")
    return dict(value)
