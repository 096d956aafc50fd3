"""What an invocation leaves behind: its log, from which embedded metrics are taken, and Lambda's own metrics."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from twin.awslambda.invocation import LogLine, Outcome
from twin.awslambda.revision import Revision
from twin.cloudwatch.data import Datum, publish

NAMESPACE = "AWS/Lambda"

_writing = threading.Lock()  # moto's log streams are not made for several threads


def record(function: Any, revision: Revision, outcome: Outcome, stream: str) -> None:
    """Write one invocation's log and metrics."""
    write_log(function.logs_backend, revision.log_group, stream, outcome.log)
    values = {
        "Invocations": (1.0, "Count"),
        "Errors": (1.0 if outcome.failed else 0.0, "Count"),
        "Throttles": (0.0, "Count"),
        "Duration": (outcome.duration_ms, "Milliseconds"),
    }
    _measure(function, values)


def throttled(function: Any) -> None:
    """Count a refused call. It is no invocation."""
    _measure(function, {"Throttles": (1.0, "Count")})


def count(function: Any, name: str) -> None:
    """Add one to another of Lambda's metrics, such as AsyncEventsDropped."""
    _measure(function, {name: (1.0, "Count")})


def write_log(backend: Any, group: str, stream: str, lines: Iterable[LogLine]) -> None:
    """Append to a log stream of moto's, which is made when it is not there."""
    events: list[dict[str, Any]] = []
    for line in lines:  # in order of time, as PutLogEvents demands, also when the clock was set back meanwhile
        earliest = events[-1]["timestamp"] if events else 0
        events.append({"timestamp": max(earliest, line.timestamp), "message": line.message})
    with _writing:
        backend.ensure_log_group(group)
        if stream not in backend.groups[group].streams:
            backend.create_log_stream(group, stream)
        if events:
            backend.put_log_events(group, stream, events)


def _measure(function: Any, values: dict[str, tuple[float, str]]) -> None:
    """AWS counts by function and over all functions."""
    data = [
        Datum(name, value, unit, dimensions)
        for name, (value, unit) in values.items()
        for dimensions in ((("FunctionName", function.function_name),), ())
    ]
    publish(function.account_id, function.region, NAMESPACE, data)
