"""Metric data by series: an index of moto's list, arrival times for alarms, and statistics by period.

A series has exactly one set of dimensions, as on AWS. moto keeps one list of all data; with thousands of requests, a
scan of the whole list for each alarm and each minute costs more than they do.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_PERCENTILE = re.compile(r"^p(\d{1,2}(?:\.\d{1,10})?|100)$")
SIMPLE = ("Sum", "Average", "Minimum", "Maximum", "SampleCount")

#: The index lies in the backend's own dictionary, which moto empties when it is reset.
_PLACE = "usher_series"
_lock = threading.Lock()

LATE_SECONDS = 300.0
KEPT_SECONDS = 86_400.0


class StatisticError(ValueError):
    """A statistic that the twin does not compute."""


@dataclass(frozen=True, slots=True)
class Metric:
    """The identity of a time series: namespace, name and exact dimensions."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, datum: Any) -> Metric:
        """The series that one of moto's data belongs to."""
        return cls(datum.namespace, datum.name, frozenset((each.name, each.value) for each in datum.dimensions))

    @classmethod
    def named(cls, namespace: str, name: str, dimensions: Iterable[dict[str, str]]) -> Metric:
        """The series that a request names."""
        return cls(namespace, name, frozenset((each["Name"], each["Value"]) for each in dimensions))


def check(statistic: str) -> None:
    """Raise StatisticError for what `statistic_of` cannot do."""
    if statistic not in SIMPLE and not _PERCENTILE.match(statistic):
        raise StatisticError(f"the twin computes {', '.join(SIMPLE)} and percentiles such as p99, not {statistic!r}")


def statistic_of(statistic: str, data: Sequence[Any]) -> float:
    """The statistic of one or more of moto's data, both single values and statistic sets."""
    if statistic == "Sum":
        return math.fsum(_sum(datum) for datum in data)
    if statistic == "SampleCount":
        return math.fsum(_count(datum) for datum in data)
    if statistic == "Average":
        return math.fsum(_sum(datum) for datum in data) / (math.fsum(_count(datum) for datum in data) or math.nan)
    if statistic == "Minimum":
        return min(float(datum.value if hasattr(datum, "value") else datum.min) for datum in data)
    if statistic == "Maximum":
        return max(float(datum.value if hasattr(datum, "value") else datum.max) for datum in data)
    check(statistic)
    return _percentile(data, float(statistic[1:]))


def by_period(data: Iterable[Any], start: float, end: float, period_seconds: float) -> dict[float, list[Any]]:
    """Data from `start` to before `end` (seconds since 1970), by the beginning of their period, in order."""
    found: dict[float, list[Any]] = defaultdict(list)
    for datum in data:
        moment = seconds(datum.timestamp)
        if start <= moment < end:
            found[moment // period_seconds * period_seconds].append(datum)
    return dict(sorted(found.items()))


def seconds(moment: datetime.datetime) -> float:
    """Seconds since 1970; moto keeps UTC without a time zone."""
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()


def _percentile(data: Sequence[Any], percent: float) -> float:
    """Linear between the two nearest; a statistic set has no percentiles, unless all its values are one."""
    values: list[float] = []
    for datum in data:
        if hasattr(datum, "value"):
            values.append(float(datum.value))
        elif datum.min == datum.max:
            values += [float(datum.min)] * int(datum.sample_count)
    if not values:
        raise StatisticError("percentiles need single values, not statistic sets")
    values.sort()
    position = percent / 100 * (len(values) - 1)
    below = math.floor(position)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (position - below)


def _sum(datum: Any) -> float:
    return float(datum.value if hasattr(datum, "value") else datum.sum)


def _count(datum: Any) -> float:
    return 1.0 if hasattr(datum, "value") else float(datum.sample_count)


class Index:
    """The indexed data of one backend by series."""

    def __init__(self) -> None:
        self._indexed = 0
        self._series: dict[Metric, list[Any]] = {}

    def of(self, data: list[Any], metric: Metric) -> list[Any]:
        """The data of a series, in the order in which they came. data: all there are; only ever appended to."""
        for datum in data[self._indexed :]:
            self._series.setdefault(Metric.of(datum), []).append(datum)
            self._indexed += 1
        return list(self._series.get(metric, ()))


def data_of(backend: Any, metric: Metric) -> list[Any]:
    """All data of a series: published data, and for AWS's namespaces moto's own counts."""
    with _lock:
        index: Index = backend.__dict__.setdefault(_PLACE, Index())
        found = index.of(backend.metric_data, metric)
    if metric.namespace.startswith("AWS/"):
        found += [each for each in backend.aws_metric_data if each.name == metric.name and Metric.of(each) == metric]
    return found


@dataclass(frozen=True, slots=True)
class _Arrival:
    moment: float
    datum: Any


@dataclass(slots=True)
class Arrivals:
    """The data of one of moto's backends, read once each."""

    _source: list[Any] | None = None
    _read: int = 0
    _series: dict[Metric, deque[_Arrival]] = dataclasses.field(default_factory=lambda: defaultdict(deque))

    def read(self, data: list[Any], now: float) -> None:
        """Take in what is new in moto's list. now: real seconds since 1970."""
        if data is not self._source:  # moto was reset
            self._source, self._read = data, 0
            self._series.clear()
        fresh, self._read = data[self._read :], len(data)
        for datum in fresh:
            stamped = seconds(datum.timestamp)
            moment = now if 0 <= now - stamped <= LATE_SECONDS else stamped
            self._series[Metric.of(datum)].append(_Arrival(moment, datum))
        for series in self._series.values():
            while series and series[0].moment < now - KEPT_SECONDS:
                series.popleft()

    def between(self, metric: Metric, start: float, end: float) -> list[Any]:
        """The data of a series that arrived from `start` to before `end`."""
        if metric not in self._series:
            return []
        return [seen.datum for seen in self._series[metric] if start <= seen.moment < end]
