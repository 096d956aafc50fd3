"""CloudWatch metrics in the embedded metric format: one log line each, without a call to AWS."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

NAMESPACE = "Usher"


def emit(
    values: Mapping[str, float],
    fields: Mapping[str, Any],
    dimensions: Sequence[Sequence[str]] = (("service",),),
    *,
    unit: str = "Count",
    per_second: bool = False,
) -> None:
    """Write metrics, with the log fields beside them. values: by metric name.

    dimensions: sets of names of fields; each metric is published under each set.
    per_second: store at a resolution of one second instead of one minute.
    """
    definition: dict[str, Any] = {"Unit": unit} | ({"StorageResolution": 1} if per_second else {})
    metrics = [{"Name": name, **definition} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}
    envelope = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    sys.stdout.write(json.dumps({"_aws": envelope, **values, **fields}, separators=(",", ":")) + "\n")


def count(values: Mapping[str, int], *, service: str, dataset: str) -> None:
    """Increase counters of the service, which alarms watch, and of the data set, for operators."""
    emit(values, {"service": service, "dataset": dataset}, (("service",), ("dataset",)))
