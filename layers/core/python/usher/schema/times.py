"""Times of requests: epoch seconds, epoch milliseconds or ISO 8601, in the formats that ingest accepts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from usher.schema.datasets import TIME_MAX_US, TIME_MIN_US

#: Below this a number is seconds (until the year 5138), from it on milliseconds (from 1973).
MILLISECONDS_FROM = 100_000_000_000
_NUMBER = re.compile(r"-?[0-9]{1,19}|-?[0-9]{1,14}\.[0-9]{1,9}")
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 40


def seconds_of(value: str | float) -> float:
    """Epoch seconds of a number (seconds or milliseconds, by its size) or of ISO 8601 (UTC if it has no zone).

    ValueError when it is not a time between 1970 and 2100.
    """
    if isinstance(value, str):
        seconds = _of_number(float(value)) if _NUMBER.fullmatch(value) else _of_iso(value)
    else:
        seconds = _of_number(value)
    if not TIME_MIN_US <= seconds * 1_000_000 < TIME_MAX_US:
        raise ValueError(f"is {str(value)[:_SHOWN]}: times are from 1970 to 2100")
    return seconds


def iso(seconds: float) -> str:
    """`2026-03-01T12:00:00.000000Z`, the one format that Usher writes."""
    return (_EPOCH + timedelta(microseconds=round(seconds * 1_000_000))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _of_number(number: float) -> float:
    return float(number if abs(number) < MILLISECONDS_FROM else number / 1000)


def _of_iso(text: str) -> float:
    try:
        found = datetime.fromisoformat(text if _ISO.fullmatch(text) else "")
    except ValueError:
        raise ValueError(
            f"is {text[:_SHOWN]!r}: give epoch seconds, milliseconds or ISO 8601 as 2026-03-01T12:00:00Z"
        ) from None
    return (found.replace(tzinfo=found.tzinfo or UTC) - _EPOCH) / timedelta(seconds=1)
