"""A payload 2.0 event of API Gateway becomes a checked request, or a problem that names the parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from usher.api import openapi
from usher.api.openapi import Operation
from usher.api.problems import Problem
from usher.api.request_body import read_json
from usher.api.validation import check, from_text, refuse_unknown
from usher.schema.interactions import LIKED_RATING

BODY_MAX_BYTES = 65_536
QUERY_MAX_FIELDS = 600


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request. session: (item id, rating) as the person did them, oldest first."""

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
    """The request of an event; Problem for anything that the OpenAPI document does not allow."""
    operation = operation_of(event, "recommend")
    values = _query(operation, str(event.get("rawQueryString") or ""))
    if operation.body is not None:
        values |= _body(operation, event)
        if not values.get("session") and "user_id" not in values:
            raise Problem("missing-parameter", "send session, user_id or both", "session")
    return _request(operation, values)


def operation_of(event: Mapping[str, Any], tag: str) -> Operation:
    """The operation that an event asks one stage's function for; Problem when that function has none such."""
    method, path = str(event["requestContext"]["http"]["method"]), _path(event)
    known = openapi.of_tag(tag)
    if (method, path) in known:
        return known[method, path]
    methods = [other for other, page in known if page == path]
    if methods:
        raise Problem("method-not-allowed", f"{path} takes {' and '.join(methods)}, not {method[:20]}")
    pages = ", ".join(dict.fromkeys(page for _, page in known))
    raise Problem("not-found", f"there is no {path[:80]}: there are {pages}")


def _request(operation: Operation, values: Mapping[str, Any]) -> Request:
    session = tuple((row["item_id"], float(row.get("rating", LIKED_RATING))) for row in values.get("session", ()))
    given = {name: value for name, value in values.items() if name not in ("session", "exclude")}
    return Request(operation.id, session=session, exclude=tuple(values.get("exclude", ())), **given)


def _path(event: Mapping[str, Any]) -> str:
    """The path within the stage: a named stage stands before it in rawPath."""
    path, stage = str(event["rawPath"]), str(event["requestContext"].get("stage", "$default"))
    if stage != "$default":
        path = path.removeprefix(f"/{stage}")
    return path.rstrip("/") or "/"


def _query(operation: Operation, text: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_MAX_FIELDS)
    except (UnicodeDecodeError, ValueError) as error:
        raise Problem("bad-parameter", f"the query string cannot be read: {str(error)[:100]}") from None
    refuse_unknown({name for name, _ in pairs}, operation.query)
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if value or name in operation.required:  # `genre=` says nothing, as a form does
            given.setdefault(name, []).append(value)
    for name in operation.required:
        if name not in given:
            raise Problem("missing-parameter", f"{name} is missing", name)
    return {name: _value(operation.query[name], texts, name) for name, texts in given.items()}


def _value(schema: Mapping[str, Any], texts: list[str], name: str) -> Any:
    if schema["type"] == "array":
        value: Any = [from_text(schema["items"], text, name) for text in texts]
    elif len(texts) > 1:
        raise Problem("bad-parameter", f"{name} is given {len(texts)} times: give it once", name)
    else:
        value = from_text(schema, texts[0], name)
    check(schema, value, name)
    return value


def _body(operation: Operation, event: Mapping[str, Any]) -> dict[str, Any]:
    value = read_json(event, BODY_MAX_BYTES)
    check(operation.body or {}, value, "")
    return dict(value)
