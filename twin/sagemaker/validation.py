"""Checks a request as SageMaker's front end does, from AWS's own model: required, type, length, range, pattern, enum.

botocore itself checks only what is required and the types; names, instance types and ARNs are refused by the service.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape

from twin.sagemaker.errors import Refused, invalid

#: How many violations one answer lists.
LISTED_MAX = 10

_NUMBERS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
}


@functools.cache
def model() -> ServiceModel:
    """AWS's description of the SageMaker API."""
    return botocore.session.get_session().get_service_model("sagemaker")


def check(action: str, body: dict[str, Any]) -> None:
    """Raise Refused when `body` breaks a constraint of `action`'s input, naming every one as AWS does."""
    shape = model().operation_model(action).input_shape
    found = [] if shape is None else list(_violations(shape, body, ""))
    if found:
        plural = "error" if len(found) == 1 else "errors"
        raise invalid(f"{len(found)} validation {plural} detected: " + "; ".join(found[:LISTED_MAX]))


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure":
        yield from _structure(shape, _typed(value, dict, path, "Start of structure or map"), path)
    elif kind == "list":
        yield from _length(shape, _typed(value, list, path, "Start of list"), path)
        for number, member in enumerate(value, start=1):
            yield from _violations(shape.member, member, f"{path}.{number}.member")  # type: ignore[attr-defined]
    elif kind == "map":
        yield from _map(shape, _typed(value, dict, path, "Start of structure or map"), path)
    elif kind == "string":
        yield from _string(shape, _typed(value, str, path, "a String"), path)
    elif kind in _NUMBERS:
        yield from _number(shape, value, path)
    elif kind == "boolean":
        _typed(value, bool, path, "a Boolean")


def _typed(value: Any, wanted: type | tuple[type, ...], path: str, name: str) -> Any:
    """SerializationException, as the JSON protocol answers a value of another type: "10" and 10 are not the same."""
    if isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
        return value
    found = {dict: "an object", list: "a list", bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    raise Refused("SerializationException", f"{path or 'the request'} is {found.get(type(value), 'null')}, not {name}")


def _structure(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _violations(member, value[name], _join(path, name))


def _map(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    yield from _length(shape, value, path)
    for key, member in value.items():
        yield from _violations(shape.key, key, f"{path}.{key}.key")
        yield from _violations(shape.value, member, f"{path}.{key}.value")


def _string(shape: Any, value: str, path: str) -> Iterator[str]:
    yield from _length(shape, value, path)
    pattern = _pattern(shape.metadata.get("pattern", ""))
    if pattern is not None and not pattern.fullmatch(value):
        yield _broken(value, path, f"satisfy regular expression pattern: {pattern.pattern}")
    if shape.enum and value not in shape.enum:
        yield _broken(value, path, f"satisfy enum value set: [{', '.join(shape.enum)}]")


def _number(shape: Any, value: Any, path: str) -> Iterator[str]:
    _typed(value, _NUMBERS[shape.type_name], path, "a number")
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        yield _broken(value, path, f"have value greater than or equal to {low}")
    if high is not None and value > high:
        yield _broken(value, path, f"have value less than or equal to {high}")


def _length(shape: Any, value: Any, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        yield _broken(value, path, f"have length greater than or equal to {low}")
    if high is not None and len(value) > high:
        yield _broken(value, path, f"have length less than or equal to {high}")


def _broken(value: Any, path: str, constraint: str) -> str:
    shown = value if isinstance(value, str | int | float) else f"[{len(value)} members]"
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: Member must {constraint}"


@functools.cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """Java's pattern in Python's dialect; None for the few (tags, descriptions) that need \\p{…}."""
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error:
        return None


def _join(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered
