"""Usher's own metrics, written to the log in CloudWatch's embedded format: no call, no wait."""

from __future__ import annotations

from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

NAMESPACE = "Usher"


def count(values: Mapping[str, int], *, service: str, dataset: str) -> None:
    """Add to counters twice: under `service` alone, which alarms watch, and under `dataset`, which people read."""
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=service)
    for name, value in values.items():
        metrics.add_metric(name, MetricUnit.Count, value)
    metrics.add_dimensions(dataset=dataset)
    metrics.flush_metrics()
