"""Metric data as alarms see them: by the time at which they arrive.

A function's seconds are not scaled. What it measures would come late by minutes of AWS's time, after its period has
been judged. So data that are no older than LATE_SECONDS, in real time, count for the period in which they arrive;
older ones, which somebody put with a time stamp of the past, keep it.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

from twin.cloudwatch.statistics import Metric, seconds

LATE_SECONDS = 300.0
KEPT_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class _Seen:
    moment: float
    datum: Any


@dataclass(slots=True)
class Arrivals:
    """The data of one of moto's backends, read once each."""

    _source: list[Any] | None = None
    _read: int = 0
    _series: dict[Metric, deque[_Seen]] = dataclasses.field(default_factory=lambda: defaultdict(deque))

    def read(self, data: list[Any], now: float) -> None:
        """Take in what is new in moto's list. now: real seconds since 1970."""
        if data is not self._source:  # moto was reset
            self._source, self._read = data, 0
            self._series.clear()
        fresh, self._read = data[self._read :], len(data)
        for datum in fresh:
            stamped = seconds(datum.timestamp)
            moment = now if 0 <= now - stamped <= LATE_SECONDS else stamped
            self._series[Metric.of(datum)].append(_Seen(moment, datum))
        for series in self._series.values():
            while series and series[0].moment < now - KEPT_SECONDS:
                series.popleft()

    def between(self, metric: Metric, start: float, end: float) -> list[Any]:
        """The data of a series that arrived from `start` to before `end`."""
        if metric not in self._series:
            return []
        return [seen.datum for seen in self._series[metric] if start <= seen.moment < end]
