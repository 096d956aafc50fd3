"""Says in words why a value was refused: few reasons, without the values in them, so that they can be counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from usher.schema.datasets import Field, Kind

MISSING = "is missing"

#: What a column of the wrong type is told by: the kinds that the checks read from each Arrow type are theirs to know.
_NO_VALUE = {"number": "is not a number", "timestamp": "is not a time"}


def explain(field: Field, value: Any, parsed: bool, column_type: str) -> str:
    """Why the checks refused `value`.

    value:       as the input had it, where text or a number; else anything.
    parsed:      whether it could be read as the field's kind at all.
    column_type: Arrow's name of the input's type.
    """
    if not parsed:
        readable = column_type == "string" or not isinstance(value, bool)
        return _NO_VALUE.get(field.kind, "") if readable and field.kind in _NO_VALUE else _wrong_type(column_type)
    return _EXPLAIN[field.kind](field, value)


def _wrong_type(column_type: str) -> str:
    return f"has the column type {column_type}"


def _text(field: Field, value: Any) -> str:
    text = str(value)
    if len(text.encode()) > field.max_bytes:
        return f"is longer than {field.max_bytes} bytes"
    if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in text):
        return "has a control character"
    return f"is none of {', '.join(field.choices)}"


def _number(field: Field, value: Any) -> str:
    if not math.isfinite(float(value)):
        return "is not a finite number"
    return f"is outside {_bound(field.minimum)} to {_bound(field.maximum)}"


def _bound(value: float | None) -> str:
    return "any number" if value is None else f"{value:g}"


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
