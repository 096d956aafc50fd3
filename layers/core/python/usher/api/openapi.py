"""The HTTP API's OpenAPI document, openapi.json, from which request checks, documentation and tests follow."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usher.api.validation import Schema, refuse_unchecked

DOCUMENT = Path(__file__).with_name("openapi.json")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    tag:   the stage whose function answers, `recommend` by default.
    query: parameter → schema. required: the required parameters. body: its schema.
    """

    id: str
    tag: str
    method: str
    path: str
    query: Mapping[str, Schema]
    required: tuple[str, ...]
    body: Schema | None


@functools.cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    read: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return read


@functools.cache
def operations() -> Mapping[tuple[str, str], Operation]:
    """(method, path) → operation; ValueError when the document uses a keyword that `validation` does not check."""
    found = [
        _operation(method.upper(), path, fields)
        for path, methods in document()["paths"].items()
        for method, fields in methods.items()
    ]
    return {(operation.method, operation.path): operation for operation in found}


@functools.cache
def of_tag(tag: str) -> Mapping[tuple[str, str], Operation]:
    """The operations of one stage's function."""
    return {key: operation for key, operation in operations().items() if operation.tag == tag}


def _operation(method: str, path: str, fields: Mapping[str, Any]) -> Operation:
    parameters = [_resolved(parameter) for parameter in fields.get("parameters", ())]
    query = {parameter["name"]: parameter["schema"] for parameter in parameters}
    body = None
    if "requestBody" in fields:
        body = _whole(fields["requestBody"]["content"]["application/json"]["schema"])
        refuse_unchecked(body, f"{method} {path} body")
    for name, schema in query.items():
        refuse_unchecked(schema, f"{method} {path} {name}")
    needed = tuple(parameter["name"] for parameter in parameters if parameter["required"])
    tag = str(fields.get("tags", ["recommend"])[0])
    return Operation(fields["operationId"], tag, method, path, query, needed, body)


def _whole(part: Any) -> Any:
    """A schema with every `$ref` replaced by its target."""
    if isinstance(part, list):
        return [_whole(one) for one in part]
    if not isinstance(part, Mapping):
        return part
    return {name: _whole(one) for name, one in _resolved(part).items()}


def _resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The target of a `$ref` into this document."""
    if "$ref" not in part:
        return part
    found: Any = document()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)
