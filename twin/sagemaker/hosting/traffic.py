"""AWS/SageMaker's metrics of one variant, gathered call by call and published in batches."""

from __future__ import annotations

import threading
from typing import Any

from twin.sagemaker.resource import now

NAMESPACE = "AWS/SageMaker"
_COUNTS = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")
_LATENCIES = ("ModelLatency", "OverheadLatency")


class Traffic:
    """One variant's calls since the last `publish`."""

    def __init__(self, account: str, region: str, endpoint: str, variant: str) -> None:
        self._account, self._region = account, region
        self._dimensions = [
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": variant},
        ]
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {name: [] for name in _COUNTS}
        self._latencies: dict[str, list[float]] = {name: [] for name in _LATENCIES}

    def count(self, status: int, model_seconds: float, overhead_seconds: float) -> None:
        """One call that the container answered with `status` (0: it did not)."""
        client_error, server_error = 400 <= status < 500, status == 0 or status >= 500
        values = (1, int(client_error), int(server_error), int(client_error or server_error))
        with self._lock:
            for name, value in zip(_COUNTS, values, strict=True):
                self._counts[name].append(value)
            for name, seconds in zip(_LATENCIES, (model_seconds, overhead_seconds), strict=True):
                self._latencies[name].append(max(0.0, seconds) * 1e6)

    def publish(self) -> None:
        """Hand over what was gathered: counts as statistic sets (0 or 1 a call), latencies in microseconds."""
        with self._lock:
            counts, self._counts = self._counts, {name: [] for name in _COUNTS}
            latencies, self._latencies = self._latencies, {name: [] for name in _LATENCIES}
        if not counts["Invocations"]:
            return
        from moto.cloudwatch.models import cloudwatch_backends  # noqa: PLC0415 - moto is heavy, and not always there

        moment = now().replace(tzinfo=None)  # moto keeps UTC without a zone
        members = [
            self._member(name, moment, "Count", {"StatisticValues": _set(values)}) for name, values in counts.items()
        ]
        members += [
            self._member(name, moment, "Microseconds", {"Values": values}) for name, values in latencies.items()
        ]
        backend: Any = cloudwatch_backends[self._account][self._region]
        backend.put_metric_data(NAMESPACE, members)

    def _member(self, name: str, moment: Any, unit: str, values: dict[str, Any]) -> dict[str, Any]:
        common = {"MetricName": name, "Unit": unit, "Dimensions": self._dimensions, "Timestamp": moment}
        return {**common, **values}


def _set(values: list[int]) -> dict[str, float]:
    return {"Sum": sum(values), "Minimum": min(values), "Maximum": max(values), "SampleCount": len(values)}
