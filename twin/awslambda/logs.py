"""An invocation's log: read from the process's standard output, written to CloudWatch Logs, with Lambda's metrics."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterable
from typing import IO, Any

from twin import context
from twin.awslambda.invocation import LogLine, Outcome, Revision
from twin.cloudwatch.data import Datum, publish
from twin.iam import authorization, sessions
from twin.iam.request import Check

NAMESPACE = "AWS/Lambda"
LINE_BYTES = 1 << 20  # CloudWatch's own limit of one event
INVOCATION_BYTES = 16 << 20  # one call's output, held in memory until it ends
_CHUNK = 1 << 16
# The runtime client joins the lines of one error by carriage returns, so that they stay one event.
_WITHIN_EVENT = "\r"

_writing = threading.Lock()  # moto's log streams do not support several threads


class Output:
    """Reads a pipe all the time, so that the process never blocks; `take` gives what has come since the last `take`."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._lines: list[LogLine] = []
        self._rest = b""
        self._kept = 0
        self._dropped = 0
        self._ended = False
        threading.Thread(target=self._read, name="lambda output", daemon=True).start()

    def take(self) -> tuple[LogLine, ...]:
        """Everything written up to now, also what is still in the pipe: a runtime writes before it responds."""
        with self._lock:
            while not self._ended and self._readable(0):
                self._feed()
            if self._rest:
                self._keep(self._rest)
            if self._dropped:
                self._lines.append(LogLine(f"[twin] {self._dropped} more bytes of output are not kept"))
            lines, self._lines, self._rest, self._kept, self._dropped = tuple(self._lines), [], b"", 0, 0
        return lines

    def _read(self) -> None:
        while not self._ended:
            self._readable(None)
            with self._lock:
                if not self._ended and self._readable(0):
                    self._feed()
        self._pipe.close()

    def _readable(self, timeout_ms: int | None) -> bool:
        waiting = select.poll()  # one object a call: threads may not share one
        waiting.register(self._pipe, select.POLLIN | select.POLLHUP)
        return bool(waiting.poll(timeout_ms))

    def _feed(self) -> None:
        data = os.read(self._pipe.fileno(), _CHUNK)
        self._ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._keep(line)
        if len(self._rest) > LINE_BYTES:
            self._keep(self._rest)
            self._rest = b""

    def _keep(self, line: bytes) -> None:
        if self._kept + len(line) > INVOCATION_BYTES:
            self._dropped += len(line)
            return
        self._kept += len(line)
        self._lines.append(LogLine(line.decode(errors="replace").rstrip(_WITHIN_EVENT).replace(_WITHIN_EVENT, "\n")))


def record(function: Any, revision: Revision, outcome: Outcome, stream: str) -> None:
    """Write one invocation's log, if the function's role may, and its metrics."""
    if _may_write(revision, stream):
        write_log(function.logs_backend, revision.log_group, stream, outcome.log)
    values = {
        "Invocations": (1.0, "Count"),
        "Errors": (1.0 if outcome.failed else 0.0, "Count"),
        "Throttles": (0.0, "Count"),
        "Duration": (outcome.duration_ms, "Milliseconds"),
    }
    _measure(function, values)


def _may_write(revision: Revision, stream: str) -> bool:
    """Without the permission AWS drops a function's log and says nothing; here the twin's own log does."""
    arn = f"arn:aws:logs:{revision.region}:{context.ACCOUNT}:log-group:{revision.log_group}:log-stream:{stream}"
    asked = [Check("logs:CreateLogStream", arn.partition(":log-stream:")[0] + ":*"), Check("logs:PutLogEvents", arn)]
    try:
        authorization.check_role(revision.role, sessions.LAMBDA, revision.name, asked)
    except authorization.AccessDenied:
        return False
    return True


def throttled(function: Any) -> None:
    """Count a refused call, which is not an invocation."""
    _measure(function, {"Throttles": (1.0, "Count")})


def write_log(backend: Any, group: str, stream: str, lines: Iterable[LogLine]) -> None:
    """Append to a log stream of moto's, which is created if it does not exist."""
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
