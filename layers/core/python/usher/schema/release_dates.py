"""The filter `not_released_after`: one rule for the scorer, the popularity fallback and the check of requests.

An item counts as released from `released_at` on, or from the first day of its year; an undated item always.
"""

from __future__ import annotations

import functools
import math
import re
from datetime import UTC, date, datetime

ALWAYS = -math.inf
_YEAR, _DAY = re.compile("[0-9]{4}"), re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def released_since(year: int | None, released_at: float | None) -> float:
    """From when on an item counts as released, in epoch seconds; ALWAYS for an undated item.

    year: 1 to 9999, 0 or None where unknown. released_at: epoch seconds, NaN or None where unknown.
    """
    if released_at is not None and not math.isnan(released_at):
        return float(released_at)
    return _year_start(int(year)) if year else ALWAYS


def release_limit(text: str) -> float:
    """The end of a year (`2005`) or a day (`2005-06-30`), UTC, in epoch seconds; ValueError for any other text.

    The end is exclusive: an item passes the filter if `released_since(…) < release_limit(text)`.
    """
    try:
        if _YEAR.fullmatch(text):
            last = date(int(text), 12, 31)
        else:
            last = date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        shown = repr(text if len(text) <= 40 else f"{text[:39]}…")
        raise ValueError(f"is {shown}: give a year or a date as 2005-06-30") from None
    return datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp() + 86_400


@functools.cache
def _year_start(year: int) -> float:
    return datetime(min(max(year, 1), 9999), 1, 1, tzinfo=UTC).timestamp()
