"""Numbers on their way into and out of the state table, which knows Decimal alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def stored(value: Any) -> Any:
    """A JSON value as DynamoDB takes it; ValueError for NaN and infinity, which it refuses."""
    if isinstance(value, bool) or value is None or isinstance(value, str | int | Decimal):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be stored: a number has to be finite")
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {str(name): stored(member) for name, member in value.items()}
    return [stored(member) for member in value]


def loaded(value: Any) -> Any:
    """What was stored, with int and float again."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {name: loaded(member) for name, member in value.items()}
    if isinstance(value, list):
        return [loaded(member) for member in value]
    return value
