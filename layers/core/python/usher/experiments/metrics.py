"""What CloudWatch says of an experiment: each variant's answers by period, and how many outcomes came with an id."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from usher.experiments.calendar import Period, period_seconds
from usher.metrics import NAMESPACE
from usher.store.experiments import ROLES, Meta
from usher.store.router import VARIANTS

#: Guardrails' kinds → the metrics of recommend_items.
KINDS: Mapping[str, str] = {"errors": "VariantErrors", "slow": "VariantSlow", "empty": "VariantEmpty"}
_REQUESTS = "VariantRequests"
_DAY = 86400
_MINUTE = 60
_LATELY_SECONDS = 300
#: What is shown of a variant → SageMaker's metric and its statistic; of several minutes the largest.
_VARIANT: Mapping[str, tuple[str, str]] = {
    "invocations": ("Invocations", "Sum"),
    "errors_5xx": ("Invocation5XXErrors", "Sum"),
    "latency_p99_us": ("ModelLatency", "p99"),
}


@dataclass(frozen=True, slots=True)
class Answers:
    """One period's requests and bad answers, (champion, challenger) each. minute: of the experiment's calendar."""

    minute: int
    requests: tuple[int, int]
    bad: Mapping[str, tuple[int, int]]


class Metrics:
    """CloudWatch's sums, for one experiment."""

    def __init__(self, cloudwatch: Any, meta: Meta) -> None:
        self._cloudwatch = cloudwatch
        self._meta = meta

    def answers(self, periods: Sequence[Period]) -> list[Answers]:
        """The answers in `periods`, in their order; of those in which nobody asked, the last one alone."""
        if not periods:
            return []
        length = period_seconds(self._meta)
        names = [_REQUESTS, *KINDS.values()]
        asked = {f"{role}_{name.lower()}": _sum(name, self._variant(role), length) for name in names for role in ROLES}
        found = self._read(asked, periods[0].start, periods[-1].start + length)

        def pair(name: str, start: int) -> tuple[int, int]:
            champion, challenger = (round(found[f"{role}_{name.lower()}"].get(start, 0.0)) for role in ROLES)
            return champion, challenger

        return [
            Answers(
                period.minute,
                pair(_REQUESTS, period.start),
                {kind: pair(name, period.start) for kind, name in KINDS.items()},
            )
            for period in periods
            if period is periods[-1] or any(period.start in series for series in found.values())
        ]

    def join_rate(self, now: float) -> float | None:
        """Of all outcomes of enrolled users, the share that came with a valid id; None before the first."""
        dimensions = {"experiment": self._meta.experiment_id}  # as ingest_feedback counts them
        asked = {name.lower(): _sum(name, dimensions, _DAY) for name in ("EnrolledOutcomes", "JoinedOutcomes")}
        start = self._meta.started_at // _DAY * _DAY
        found = self._read(asked, start, int(now) + 1)
        enrolled, joined = (sum(found[name].values()) for name in asked)
        return min(1.0, joined / enrolled) if enrolled > 0 else None

    def variants(self, endpoint: str, now: float) -> dict[str, dict[str, float]]:
        """What SageMaker itself counted of each variant lately: shown beside our own numbers, decided on by alarms."""
        asked = {}
        for variant in VARIANTS:
            dimensions = {"EndpointName": endpoint, "VariantName": variant}
            for name, (metric, statistic) in _VARIANT.items():
                asked[f"{name}_{variant.lower()}"] = _statistic("AWS/SageMaker", metric, dimensions, statistic)
        start = int(now - max(_LATELY_SECONDS, self._meta.epoch_seconds)) // _MINUTE * _MINUTE
        found = self._read(asked, start, int(now) + 1)
        return {
            variant: {
                name: max(series.values()) if statistic != "Sum" else sum(series.values())
                for name, (_, statistic) in _VARIANT.items()
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
