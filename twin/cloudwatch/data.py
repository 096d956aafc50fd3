"""Metric data that the twin itself publishes: Lambda's, SQS's and EventBridge's own metrics, and embedded ones."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Datum:
    """One value, or several, of one metric; timestamp in UTC without a zone, as moto keeps them, or now.

    as_set: several values are kept as one statistic set, which has no percentiles and takes little room.
    """

    name: str
    value: float | Sequence[float]
    unit: str = "None"
    dimensions: Dimensions = ()
    timestamp: datetime.datetime | None = None
    as_set: bool = False


def publish(account: str, region: str, namespace: str, data: Iterable[Datum]) -> None:
    """What PutMetricData does, without the way through HTTP."""
    from moto.cloudwatch.models import cloudwatch_backends  # noqa: PLC0415 - moto is heavy, and not always there

    backend = cloudwatch_backends[account][region]
    backend.put_metric_data(namespace, [_member(datum) for datum in data])


def _member(datum: Datum) -> dict[str, Any]:
    values = [datum.value] if isinstance(datum.value, int | float) else list(datum.value)
    member: dict[str, Any] = {
        "MetricName": datum.name,
        "Unit": datum.unit,
        "Dimensions": [{"Name": name, "Value": value} for name, value in datum.dimensions],
    }
    member |= {"StatisticValues": _set(values)} if datum.as_set else {"Values": values}
    return member | ({"Timestamp": datum.timestamp} if datum.timestamp else {})


def _set(values: Sequence[float]) -> dict[str, float]:
    return {"Sum": sum(values), "Minimum": min(values), "Maximum": max(values), "SampleCount": len(values)}
