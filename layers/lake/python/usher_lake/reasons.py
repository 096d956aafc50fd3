"""The reasons with which ingest refuses a row: few, and without the value, so that they can be counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from usher.schema.datasets import Field, Kind


class Fault(NamedTuple):
    """Why a row is refused. field: the field at fault; "" when the whole line is."""

    field: str
    reason: str


class BadRow(NamedTuple):
    """One line (of Parquet: one row) that goes to quarantine.

    field:  the field at fault; "" when the whole line is.
    line:   its number, from 1.
    offset: the byte at which it starts (after decompression); 0 for a row of a Parquet file.
    length: its whole length in bytes, of which `raw` may be only the head.
    raw:    exactly its bytes, without the newline.
    """

    reason: str
    field: str
    line: int
    offset: int
    length: int
    raw: bytes


MISSING = "is missing"
NOT_UTF8 = Fault("", "is not UTF-8")
NUL_BYTE = Fault("", "has a NUL byte")
MISPLACED_BOM = Fault("", "starts with a byte order mark")
CARRIAGE_RETURN = Fault("", "has a bare carriage return")
MISQUOTED = Fault("", "has an unclosed or misplaced quote")
REPEATED_HEADER = Fault("", "repeats the header")
NO_HEADER = Fault("", "has no header")
UNREADABLE_HEADER = Fault("", "follows a header that could not be read")
NOT_JSON = Fault("", "is not JSON")
NOT_AN_OBJECT = Fault("", "is not a JSON object")

_NOT_READABLE = {"number": "is not a number", "timestamp": "is not a time"}


def explain(field: Field, value: Any, parsed: bool, column_type: str) -> str:
    """Why the checks refused `value`.

    value:       as the input had it, where a string or a number; else anything.
    parsed:      whether it could be read as the field's kind at all.
    column_type: Arrow's name of the input's type.
    """
    if not parsed:
        readable = column_type == "string" or not isinstance(value, bool)
        unsupported = f"has the unsupported column type {column_type}"
        return _NOT_READABLE.get(field.kind, unsupported) if readable else unsupported
    return _EXPLAIN[field.kind](field, value)


def _text(field: Field, value: Any) -> str:
    text = str(value)
    if len(text.encode()) > field.max_bytes:
        return f"is longer than {field.max_bytes} bytes"
    if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in text):
        return "has a control character"
    return f"is not one of {', '.join(field.choices)}"


def _number(field: Field, value: Any) -> str:
    if not math.isfinite(float(value)):
        return "is not a finite number"
    low = -math.inf if field.minimum is None else field.minimum
    high = math.inf if field.maximum is None else field.maximum
    return f"is outside {low:g} to {high:g}"


def _timestamp(field: Field, _value: Any) -> str:
    return f"is outside {1970 + round(field.earliest_us / 31_556_952_000_000)} to 2100"


def _text_list(field: Field, _value: Any) -> str:
    return f"has an element that is empty or longer than {field.max_bytes} bytes"


def _attributes(field: Field, _value: Any) -> str:
    return f"has a value longer than {field.max_bytes} bytes"


_EXPLAIN: Mapping[Kind, Callable[[Field, Any], str]] = {
    "id": _text,
    "text": _text,
    "number": _number,
    "timestamp": _timestamp,
    "text_list": _text_list,
    "attributes": _attributes,
}
