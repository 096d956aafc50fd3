"""Metrics embedded in log lines (EMF) become metric data, as CloudWatch Logs extracts them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import datetime
import json
import logging
import math
from collections.abc import Iterable
from typing import Any

from twin.cloudwatch.data import Datum, Dimensions, publish
from twin.moto_patches.registry import original

MAX_VALUES = 100
MAX_DIMENSIONS = 30
_MARK = '"_aws"'
_log = logging.getLogger("usher.twin.cloudwatch")


class EmfError(ValueError):
    """A line that claims to hold metrics and does not follow the format."""


def publish_embedded(account: str, region: str, lines: Iterable[str]) -> None:
    """Publish what `lines` embed. A malformed one is counted as AWS counts it (AWS/Logs, EMFValidationErrors)."""
    for line in lines:
        try:
            for namespace, data in parse(line):
                publish(account, region, namespace, data)
        except EmfError as error:
            _log.error("metrics embedded in a log line are lost: %s: %.200s", error, line)
            publish(account, region, "AWS/Logs", [Datum("EMFValidationErrors", 1.0, "Count")])


def put_log_events(
    self: Any, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """LogsBackend.put_log_events: metrics embedded in any log become metric data."""
    put = original("moto.logs.models:LogsBackend.put_log_events")
    answer: tuple[str, dict[str, Any]] = put(self, log_group_name, log_stream_name, log_events)
    publish_embedded(self.account_id, self.region_name, [str(event["message"]) for event in log_events])
    return answer


def parse(line: str) -> list[tuple[str, list[Datum]]]:
    """(namespace, data) for each directive of a line; nothing for a line without any. Raises EmfError."""
    if _MARK not in line or not line.lstrip().startswith("{"):
        return []
    try:
        document = json.loads(line)
    except ValueError:
        return []  # a log line that merely mentions the word
    about = document.get("_aws")
    if not isinstance(about, dict) or "CloudWatchMetrics" not in about:
        return []
    when = _time(about.get("Timestamp"))
    directives = about["CloudWatchMetrics"]
    if not isinstance(directives, list):
        raise EmfError("CloudWatchMetrics is not a list")
    return [_directive(directive, document, when) for directive in directives]


def _directive(directive: Any, document: dict[str, Any], when: datetime.datetime) -> tuple[str, list[Datum]]:
    if not isinstance(directive, dict) or not isinstance(namespace := directive.get("Namespace"), str) or not namespace:
        raise EmfError("a directive has no Namespace")
    metrics = directive.get("Metrics")
    if not isinstance(metrics, list):
        raise EmfError("Metrics is not a list")
    sets = [_dimensions(names, document) for names in directive.get("Dimensions") or [[]]]
    data = []
    for metric in metrics:
        if not isinstance(metric, dict) or not isinstance(name := metric.get("Name"), str):
            raise EmfError("a metric has no Name")
        if name in document:  # a metric without a value is not reported
            values = _values(name, document[name])
            data += [Datum(name, values, metric.get("Unit", "None"), dimensions, when) for dimensions in sets]
    return namespace, data


def _dimensions(names: Any, document: dict[str, Any]) -> Dimensions:
    if not isinstance(names, list) or len(names) > MAX_DIMENSIONS:
        raise EmfError(f"a dimension set is not a list of at most {MAX_DIMENSIONS} names")
    if missing := [name for name in names if name not in document]:
        raise EmfError(f"dimension {missing[0]!r} has no value")
    if wrong := [name for name in names if not isinstance(document[name], str) or not document[name]]:
        raise EmfError(f"the value of dimension {wrong[0]!r} is not a string")
    return tuple((name, document[name]) for name in names)


def _values(name: str, value: Any) -> list[float]:
    values = value if isinstance(value, list) else [value]
    if len(values) > MAX_VALUES:
        raise EmfError(f"metric {name!r} has more than {MAX_VALUES} values")
    if not all(isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each) for each in values):
        raise EmfError(f"metric {name!r} is not a number")
    return [float(each) for each in values]


def _time(milliseconds: Any) -> datetime.datetime:
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        raise EmfError("Timestamp is not a number of milliseconds")
    try:
        return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError) as error:
        raise EmfError("Timestamp is out of range") from error
