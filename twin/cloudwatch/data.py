"""Publishes the metric data of the twin's own services, among them SQS's queue metrics for alarms."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from twin import context

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
    """Store metric data as PutMetricData does, without HTTP."""
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


def publish_queues() -> None:
    """How many messages each queue holds now, and how old the oldest is in AWS's seconds, as SQS does every minute."""
    from moto.sqs.models import sqs_backends  # noqa: PLC0415 - moto is heavy

    region = context.current().region
    for queue in list(sqs_backends[context.ACCOUNT][region].queues.values()):
        publish(context.ACCOUNT, region, "AWS/SQS", _data(queue))


def _data(queue: Any) -> list[Datum]:
    with queue._messages_lock:
        messages = list(queue._messages)
    delayed = sum(message.delayed for message in messages)
    hidden = sum(not message.visible for message in messages)
    oldest = min((message.sent_timestamp for message in messages), default=None)
    age = 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000) * context.current().speed
    dimensions = (("QueueName", queue.name),)
    return [
        Datum("ApproximateNumberOfMessagesVisible", float(len(messages) - delayed - hidden), "Count", dimensions),
        Datum("ApproximateNumberOfMessagesNotVisible", float(hidden), "Count", dimensions),
        Datum("ApproximateNumberOfMessagesDelayed", float(delayed), "Count", dimensions),
        Datum("ApproximateAgeOfOldestMessage", age, "Seconds", dimensions),
    ]
