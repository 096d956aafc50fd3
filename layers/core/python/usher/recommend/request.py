"""A payload 2.0 event of API Gateway becomes a checked request, or a problem that names the parameter."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from usher.recommend import openapi
from usher.recommend.openapi import Operation
from usher.recommend.problems import Problem
from usher.recommend.schema import check, from_text, refuse_unknown

BODY_MAX_BYTES = 65_536
QUERY_MAX_FIELDS = 600
#: What an item of a session counts as that bears no rating: the least that says "liked" to the rankers.
LIKED = 4.0


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
    method, path = str(event["requestContext"]["http"]["method"]), _path(event)
    operation = openapi.operations().get((method, path))
    if operation is None:
        raise _no_operation(method, path)
    values = _query(operation, str(event.get("rawQueryString") or ""))
    if operation.body is not None:
        values |= _body(operation, event)
        if not values.get("session") and "user_id" not in values:
            raise Problem("missing-parameter", "send session, user_id or both", "session")
    return _request(operation, values)


def _request(operation: Operation, values: Mapping[str, Any]) -> Request:
    session = tuple((row["item_id"], float(row.get("rating", LIKED))) for row in values.get("session", ()))
    given = {name: value for name, value in values.items() if name not in ("session", "exclude")}
    return Request(operation.id, session=session, exclude=tuple(values.get("exclude", ())), **given)


def _path(event: Mapping[str, Any]) -> str:
    """The path within the stage: a named stage stands before it in rawPath."""
    path, stage = str(event["rawPath"]), str(event["requestContext"].get("stage", "$default"))
    if stage != "$default":
        path = path.removeprefix(f"/{stage}")
    return path.rstrip("/") or "/"


def _no_operation(method: str, path: str) -> Problem:
    methods = openapi.methods_of(path)
    if methods:
        return Problem("method-not-allowed", f"{path} takes {' and '.join(methods)}, not {method[:20]}")
    known = ", ".join(dict.fromkeys(known for _, known in openapi.operations()))
    return Problem("not-found", f"there is no {path[:80]}: there are {known}")


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
    data = _bytes(event)
    if len(data) > BODY_MAX_BYTES:
        raise Problem("too-large", f"the body has {len(data)} bytes: {BODY_MAX_BYTES} are allowed")
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Problem("bad-body", f"the body is not JSON: {str(error)[:100]}") from None
    check(operation.body or {}, value, "")
    return dict(value)


def _bytes(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem("bad-body", "the body is not what its encoding says") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
