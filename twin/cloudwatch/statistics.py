"""Statistics of metric data by period, and which data belong to a metric: exactly the same dimensions, as on AWS."""

from __future__ import annotations

import datetime
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_PERCENTILE = re.compile(r"^p(\d{1,2}(?:\.\d{1,10})?|100)$")
SIMPLE = ("Sum", "Average", "Minimum", "Maximum", "SampleCount")


class StatisticError(ValueError):
    """A statistic that the twin does not compute."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What identifies a time series."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, datum: Any) -> Metric:
        """The series that one of moto's data belongs to."""
        return cls(datum.namespace, datum.name, frozenset((each.name, each.value) for each in datum.dimensions))

    @classmethod
    def asked(cls, namespace: str, name: str, dimensions: Iterable[dict[str, str]]) -> Metric:
        """The series that a request names."""
        return cls(namespace, name, frozenset((each["Name"], each["Value"]) for each in dimensions))


def check(statistic: str) -> None:
    """Raise StatisticError for what `statistic_of` cannot do."""
    if statistic not in SIMPLE and not _PERCENTILE.match(statistic):
        raise StatisticError(f"the twin computes {', '.join(SIMPLE)} and percentiles such as p99, not {statistic!r}")


def statistic_of(statistic: str, data: Sequence[Any]) -> float:
    """One number for at least one of moto's data, single values and statistic sets together."""
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
    """Since 1970; moto keeps UTC without saying so."""
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
