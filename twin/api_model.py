"""Compares a request with botocore's model of an API: names, required members, types, lengths, ranges, patterns, enums.

botocore itself checks only names, types, required members and minimum lengths before it sends a request; the rest is
refused by the service. SageMaker's front end and Step Functions both use this module.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from botocore.model import Shape

#: A value that is known only when the request is made: it satisfies everything.
ANY: Any = object()

#: How many violations one message lists.
LISTED_MAX = 10

#: What a number may be. Booleans, which Python counts as integers, are never numbers.
_NUMBERS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}
_TYPES: dict[str, type] = {"structure": dict, "list": list, "map": dict, "string": str, "boolean": bool}


class MapKey(str):
    """A part of a path that is a map's key, not the name of a member."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault of a request.

    kind:  unknown (no such member), missing (a required member), type, or constraint (length, range, pattern, enum).
    path:  from the request down: names of members as the request spells them, list places from 1, map keys.
    value: the value at the path; None for a missing member.
    rule:  what the value must satisfy, in AWS's words; for a type the model's name of it, such as string.
    """

    kind: Literal["unknown", "missing", "type", "constraint"]
    path: tuple[str | int, ...]
    value: Any
    rule: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How a protocol writes a request.

    spelled:    the model's name of a member → the key that the request has.
    timestamps: the types that a time may have.
    """

    spelled: Callable[[str], str] = lambda name: name
    timestamps: tuple[type, ...] = (int, float)


def violations(
    shape: Shape | None, value: Any, reading: Reading = Reading(), path: tuple[str | int, ...] = ()
) -> Iterator[Violation]:
    """Every fault of `value` as `shape`. A value of another type is one fault. Blobs may be anything."""
    if shape is None or value is ANY or shape.type_name == "blob" or getattr(shape, "is_document_type", False):
        return
    kind = shape.type_name
    wanted: Any = _NUMBERS.get(kind) or (reading.timestamps if kind == "timestamp" else _TYPES[kind])
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean"):
        yield Violation("type", path, value, kind)
    elif kind == "structure":
        yield from _structure(shape, value, reading, path)
    elif kind == "list":
        yield from _bounds(shape, value, len(value), path)
        for place, member in enumerate(value, start=1):
            yield from violations(shape.member, member, reading, (*path, place))  # type: ignore[attr-defined]
    elif kind == "map":
        yield from _bounds(shape, value, len(value), path)
        for key, member in value.items():
            for part, one in (("key", key), ("value", member)):
                yield from violations(getattr(shape, part), one, reading, (*path, MapKey(key), MapKey(part)))
    elif kind == "string":
        yield from _string(shape, value, path)
    elif kind in _NUMBERS:
        yield from _bounds(shape, value, value, path)


def _structure(shape: Any, value: dict[str, Any], reading: Reading, path: tuple[str | int, ...]) -> Iterator[Violation]:
    keys = {reading.spelled(name): name for name in shape.members}
    for key, member in value.items():
        if key not in keys:
            yield Violation("unknown", (*path, key), member, "")
    for name in shape.required_members:
        if value.get(reading.spelled(name)) is None:
            yield Violation("missing", (*path, reading.spelled(name)), None, "not be null")
    for key, name in keys.items():
        if value.get(key) is not None:
            yield from violations(shape.members[name], value[key], reading, (*path, key))


def _string(shape: Any, value: str, path: tuple[str | int, ...]) -> Iterator[Violation]:
    yield from _bounds(shape, value, len(value), path)
    pattern = _pattern(shape.metadata.get("pattern", ""))
    if pattern is not None and not pattern.fullmatch(value):
        yield Violation("constraint", path, value, f"satisfy regular expression pattern: {pattern.pattern}")
    if shape.enum and value not in shape.enum:
        yield Violation("constraint", path, value, f"satisfy enum value set: [{', '.join(shape.enum)}]")


def _bounds(shape: Any, value: Any, size: float, path: tuple[str | int, ...]) -> Iterator[Violation]:
    """The range of a number, or of the length of anything else."""
    what = "value" if shape.type_name in _NUMBERS else "length"
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield Violation("constraint", path, value, f"have {what} greater than or equal to {low}")
    if high is not None and size > high:
        yield Violation("constraint", path, value, f"have {what} less than or equal to {high}")


def refusal(found: Sequence[Violation]) -> str:
    """The message of a service's ValidationException, which names every missing member and broken constraint."""
    plural = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {plural} detected: " + "; ".join(map(_sentence, found[:LISTED_MAX]))


def _sentence(one: Violation) -> str:
    value = one.value
    shown = (
        "null" if value is None else f"'{value if isinstance(value, str | int | float) else f'[{len(value)} members]'}'"
    )
    return f"Value {shown} at '{service_path(one.path)}' failed to satisfy constraint: Member must {one.rule}"


def service_path(path: tuple[str | int, ...]) -> str:
    """A path as services write it: `productionVariants.2.member.variantName`."""
    parts = []
    for part in path:
        if isinstance(part, int):
            parts += [str(part), "member"]
        else:
            parts.append(part if isinstance(part, MapKey) else part[:1].lower() + part[1:])
    return ".".join(parts)


@functools.cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """Java's pattern in Python's dialect; None for the few (tags, descriptions) that need \\p{…}."""
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error:
        return None
