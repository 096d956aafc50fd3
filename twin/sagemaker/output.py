"""A container's output: its lines in CloudWatch Logs, and the metrics that MetricDefinitions find in them."""

from __future__ import annotations

import datetime
import math
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twin.cloudwatch.data import Datum, publish
from twin.sagemaker.account import now
from twin.sagemaker.errors import invalid
from twin.sagemaker.execution_role import ExecutionRole

_writing = threading.Lock()  # moto's log streams are not made for several threads

NAMESPACE = "/aws/sagemaker/TrainingJobs"


class LogStream:
    """One stream of one of SageMaker's log groups, written with `role`; without the permission lines are dropped."""

    def __init__(self, account: str, region: str, group: str, stream: str, role: ExecutionRole) -> None:
        self._account, self._region = account, region
        self.group, self.stream = group, stream
        self._role = role
        self._allowed: bool | None = None

    def write(self, lines: list[str]) -> None:
        """Append lines; group and stream are created when missing. Empty lines are skipped, as on AWS."""
        moment = int(time.time() * 1000)
        events = [{"timestamp": moment, "message": line} for line in lines if line.strip()]
        if self._allowed is None and events:
            self._allowed = self._role.may_log(self.group, self.stream)
        if not events or not self._allowed:
            return
        from moto.logs.models import logs_backends  # noqa: PLC0415 - moto is heavy, and not always there

        backend: Any = logs_backends[self._account][self._region]
        with _writing:
            backend.ensure_log_group(self.group)
            if self.stream not in backend.groups[self.group].streams:
                backend.create_log_stream(self.group, self.stream)
            backend.put_log_events(self.group, self.stream, events)


@dataclass(frozen=True, slots=True)
class Metric:
    """One value that the algorithm printed."""

    name: str
    value: float
    at: datetime.datetime


class Metrics:
    """Every value found so far, in the order of the output."""

    def __init__(self, definitions: Iterable[dict[str, str]]) -> None:
        """Raises Refused for a malformed regular expression and for one without a group that captures the value."""
        self._patterns: list[tuple[str, re.Pattern[str]]] = []
        self.history: list[Metric] = []
        for definition in definitions:
            try:
                pattern = re.compile(definition["Regex"])
            except re.error as error:
                raise invalid(f"The regex of metric {definition['Name']} is not valid: {error}") from error
            if not pattern.groups:
                raise invalid(f"The regex of metric {definition['Name']} has no group that captures the value.")
            self._patterns.append((definition["Name"], pattern))

    def read(self, lines: Iterable[str]) -> list[Metric]:
        """The values in these lines; only finite numbers are metrics."""
        found = [
            Metric(name, value, now())
            for line in lines
            for name, pattern in self._patterns
            if (match := pattern.search(line)) and (value := _number(match[1])) is not None
        ]
        self.history += found
        return found

    def series(self, name: str) -> list[float]:
        """The values of one metric, oldest first."""
        return [metric.value for metric in self.history if metric.name == name]

    def final(self) -> list[dict[str, Any]]:
        """FinalMetricDataList: the last value of each metric."""
        last = {metric.name: metric for metric in self.history}
        return [{"MetricName": item.name, "Value": item.value, "Timestamp": item.at} for item in last.values()]


def publish_training(account: str, region: str, job: str, found: list[Metric]) -> None:
    """Publish to CloudWatch, where the SDK's analytics read."""
    if found:
        dimensions = (("TrainingJobName", job),)
        publish(account, region, NAMESPACE, [Datum(item.name, item.value, "None", dimensions) for item in found])


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
