"""Reads an experiment's CloudWatch metrics: requests and faults of each variant by period, and the join rate.

CloudWatch sums over periods of 1, 5, 10, 30 s or whole minutes that begin at multiples of their length. The guardrails'
minute is the shortest such period that is at least a minute of the experiment's calendar.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from usher.experiments.stats.decisions import Minute
from usher.metrics import NAMESPACE
from usher.store.experiments import ROLES, Meta
from usher.store.router import VARIANTS

_PERIODS = (1, 5, 10, 30)
#: Metrics of a period are complete so much later: half of it, at most half a minute.
_LATEST_SECONDS = 30.0
#: Kinds of guardrails → the metrics of recommend_items.
KINDS: Mapping[str, str] = {"errors": "VariantErrors", "slow": "VariantSlow", "empty": "VariantEmpty"}
REQUESTS = "VariantRequests"
_DAY = 86400
_MINUTE = 60
_LATELY_SECONDS = 300
#: A number of a variant → SageMaker's metric and its statistic; of several minutes the largest.
ENDPOINT_METRICS: Mapping[str, tuple[str, str]] = {
    "invocations": ("Invocations", "Sum"),
    "errors_5xx": ("Invocation5XXErrors", "Sum"),
    "latency_p99_us": ("ModelLatency", "p99"),
}


@dataclass(frozen=True, slots=True)
class Period:
    """One period that is over. start: epoch seconds. minute: of the experiment's calendar, at its end."""

    start: int
    minute: int


def period_seconds(meta: Meta) -> int:
    """The length of the metrics' periods."""
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


class Metrics:
    """CloudWatch's sums for one experiment."""

    def __init__(self, cloudwatch: Any, meta: Meta) -> None:
        self._cloudwatch = cloudwatch
        self._meta = meta

    def minutes(self, periods: Sequence[Period]) -> list[Minute]:
        """Requests and faults in each of `periods`, in their order; of the empty ones only the last."""
        if not periods:
            return []
        length = period_seconds(self._meta)
        names = [REQUESTS, *KINDS.values()]
        asked = {f"{role}_{name.lower()}": _sum(name, self._variant(role), length) for name in names for role in ROLES}
        found = self._read(asked, periods[0].start, periods[-1].start + length)

        def pair(name: str, start: int) -> tuple[int, int]:
            champion, challenger = (round(found[f"{role}_{name.lower()}"].get(start, 0.0)) for role in ROLES)
            return champion, challenger

        return [
            Minute(
                period.minute,
                pair(REQUESTS, period.start),
                {kind: pair(name, period.start) for kind, name in KINDS.items()},
            )
            for period in periods
            if period is periods[-1] or any(period.start in series for series in found.values())
        ]

    def join_rate(self, now: float) -> float | None:
        """The share of enrolled users' outcomes that came with a valid recommendation id; None before the first."""
        dimensions = {"experiment": self._meta.experiment_id}  # as ingest_feedback counts them
        asked = {name.lower(): _sum(name, dimensions, _DAY) for name in ("EnrolledOutcomes", "JoinedOutcomes")}
        start = self._meta.started_at // _DAY * _DAY
        found = self._read(asked, start, int(now) + 1)
        enrolled, joined = (sum(found[name].values()) for name in asked)
        return min(1.0, joined / enrolled) if enrolled > 0 else None

    def variants(self, endpoint: str, now: float) -> dict[str, dict[str, float]]:
        """SageMaker's own recent metrics of each variant: displayed beside Usher's, and watched by alarms."""
        asked = {}
        for variant in VARIANTS:
            dimensions = {"EndpointName": endpoint, "VariantName": variant}
            for name, (metric, statistic) in ENDPOINT_METRICS.items():
                asked[f"{name}_{variant.lower()}"] = _statistic("AWS/SageMaker", metric, dimensions, statistic)
        start = int(now - max(_LATELY_SECONDS, self._meta.epoch_seconds)) // _MINUTE * _MINUTE
        found = self._read(asked, start, int(now) + 1)
        return {
            variant: {
                name: max(series.values()) if statistic != "Sum" else sum(series.values())
                for name, (_, statistic) in ENDPOINT_METRICS.items()
                if (series := found[f"{name}_{variant.lower()}"])
            }
            for variant in VARIANTS
        }

    def _variant(self, role: str) -> dict[str, str]:
        return {"experiment": self._meta.experiment_id, "variant": self._meta.variant(role)}

    def _read(self, asked: Mapping[str, dict[str, Any]], start: int, end: int) -> dict[str, dict[int, float]]:
        """Sums by query and start of the period."""
        found: dict[str, dict[int, float]] = {name: {} for name in asked}
        pages = self._cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[{"Id": name, "MetricStat": stat} for name, stat in asked.items()],
            StartTime=datetime.datetime.fromtimestamp(start, datetime.UTC),
            EndTime=datetime.datetime.fromtimestamp(end, datetime.UTC),
            ScanBy="TimestampAscending",
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                times = [int(moment.timestamp()) for moment in result["Timestamps"]]
                found[result["Id"]] |= dict(zip(times, result["Values"], strict=True))
        return found


def _sum(name: str, dimensions: Mapping[str, str], period: int) -> dict[str, Any]:
    return _statistic(NAMESPACE, name, dimensions, "Sum") | {"Period": period}


def _statistic(namespace: str, name: str, dimensions: Mapping[str, str], statistic: str) -> dict[str, Any]:
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": named}
    return {"Metric": metric, "Period": _MINUTE, "Stat": statistic}
