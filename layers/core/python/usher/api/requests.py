"""Requests of API Gateway (payload 2.0) read by the OpenAPI document: operation, query parameters, JSON body."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from usher.api.openapi import Operation, of_tag
from usher.api.problems import Problem
from usher.api.validation import check, from_text, refuse_unknown

QUERY_MAX_FIELDS = 600


def operation_of(event: Mapping[str, Any], tag: str) -> Operation:
    """The requested operation among those of `tag`; Problem when there is none for this path and method."""
    method, path = str(event["requestContext"]["http"]["method"]), _path(event)
    known = of_tag(tag)
    if (method, path) in known:
        return known[method, path]
    methods = [other for other, known_path in known if known_path == path]
    if methods:
        raise Problem("method-not-allowed", f"{path} takes {' and '.join(methods)}, not {method[:20]}")
    paths = ", ".join(dict.fromkeys(known_path for _, known_path in known))
    raise Problem("not-found", f"{path[:80]} was not found: the paths are {paths}")


def read_query(operation: Operation, event: Mapping[str, Any]) -> dict[str, Any]:
    """The checked query parameters; empty ones count as not given. Problem names the parameter at fault."""
    text = str(event.get("rawQueryString") or "")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_MAX_FIELDS)
    except (UnicodeDecodeError, ValueError) as error:
        raise Problem("bad-parameter", f"the query string cannot be read: {str(error)[:100]}") from None
    refuse_unknown({name for name, _ in pairs}, operation.query)
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if value or name in operation.required:  # forms send `genre=` for an empty field
            given.setdefault(name, []).append(value)
    for name in operation.required:
        if name not in given:
            raise Problem("missing-parameter", f"{name} is missing", name)
    return {name: _value(operation.query[name], texts, name) for name, texts in given.items()}


def read_json(event: Mapping[str, Any], max_bytes: int) -> Any:
    """The JSON value of the body; Problem when it has more than `max_bytes` or is not JSON."""
    data = _body_bytes(event)
    if len(data) > max_bytes:
        raise Problem("too-large", f"the body has {len(data)} bytes: {max_bytes} are allowed")
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Problem("bad-body", f"the body is not JSON: {str(error)[:100]}") from None


def _path(event: Mapping[str, Any]) -> str:
    """The path within the stage: in rawPath the name of a named stage stands before it."""
    path, stage = str(event["rawPath"]), str(event["requestContext"].get("stage", "$default"))
    if stage != "$default":
        path = path.removeprefix(f"/{stage}")
    return path.rstrip("/") or "/"


def _value(schema: Mapping[str, Any], texts: list[str], name: str) -> Any:
    if schema["type"] == "array":
        value: Any = [from_text(schema["items"], text, name) for text in texts]
    elif len(texts) > 1:
        raise Problem("bad-parameter", f"{name} is given {len(texts)} times: give it once", name)
    else:
        value = from_text(schema, texts[0], name)
    check(schema, value, name)
    return value


def _body_bytes(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem("bad-body", "the body is not valid base64, as isBase64Encoded says: encode it again") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
