"""The experiment's own time: hours of the preset, and the minutes in which CloudWatch's periods lie.

CloudWatch sums over periods of 1, 5, 10, 30 s or whole minutes that begin at multiples of their length, so a minute of
the guardrails is the shortest such period that is as long as a minute of the calendar.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from usher.store.experiments import Meta

_PERIODS = (1, 5, 10, 30)
_MINUTE = 60
#: Metrics of a period are complete so much later: half of it, and no more than half a minute.
_LATEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Period:
    """One period that is over. start: epoch seconds. minute: of the experiment's calendar, at its end."""

    start: int
    minute: int


def hours(meta: Meta, now: float) -> float:
    """Hours of the preset's calendar since the start, never below 0."""
    return max(0.0, now - meta.started_at) / meta.hour_seconds


def period_seconds(meta: Meta) -> int:
    """The period of the metrics."""
    minute = meta.hour_seconds / 60.0
    short = next((period for period in _PERIODS if period >= minute), None)
    return short or math.ceil(minute / _MINUTE) * _MINUTE


def periods(meta: Meta, last_minute: int, now: float, most: int) -> list[Period]:
    """The periods after `last_minute` that are over and settled at `now`, the oldest `most` of them."""
    return [period for _, period in zip(range(most), _periods(meta, last_minute, now), strict=False)]


def _periods(meta: Meta, last_minute: int, now: float) -> Iterator[Period]:
    length = period_seconds(meta)
    minute_seconds = meta.hour_seconds / 60.0
    begin = meta.started_at + max(0, last_minute) * minute_seconds
    start = int(begin // length) * length
    while start + length + min(length / 2.0, _LATEST_SECONDS) <= now:
        minute = max(0, math.ceil((start + length - meta.started_at) / minute_seconds) - 1)
        if minute > last_minute:
            yield Period(start, minute)
        start += length
