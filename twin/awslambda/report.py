"""The platform's own lines in a function's log, START, END and REPORT, as AWS writes them in text and in JSON."""

from __future__ import annotations

import datetime
import json
import math
from typing import Any

from twin.awslambda.invocation import LogLine, Outcome
from twin.awslambda.revision import Revision


def start(revision: Revision, request_id: str) -> LogLine:
    """The first line of an invocation."""
    if revision.log_format == "JSON":
        return _event("platform.start", {"requestId": request_id, "version": revision.version})
    return LogLine(f"START RequestId: {request_id} Version: {revision.version}")


def end(revision: Revision, outcome: Outcome) -> tuple[LogLine, ...]:
    """The last lines of an invocation."""
    if revision.log_format == "JSON":
        return (_event("platform.report", _record(revision, outcome)),)
    return (LogLine(f"END RequestId: {outcome.request_id}"), LogLine(_text(revision, outcome)))


def timed_out(request_id: str, timeout_seconds: float) -> LogLine:
    """What AWS says when a function took too long."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return LogLine(f"{now}Z {request_id} Task timed out after {timeout_seconds:.2f} seconds\n")


def _text(revision: Revision, outcome: Outcome) -> str:
    fields = [
        f"REPORT RequestId: {outcome.request_id}",
        f"Duration: {outcome.duration_ms:.2f} ms",
        f"Billed Duration: {_billed(outcome)} ms",
        f"Memory Size: {revision.memory_mb} MB",
        f"Max Memory Used: {outcome.memory_mb} MB",
    ]
    if outcome.init_ms is not None:
        fields.append(f"Init Duration: {outcome.init_ms:.2f} ms")
    if outcome.status != "success":
        fields.append(f"Status: {outcome.status}")
    if outcome.error_type:
        fields.append(f"Error Type: {outcome.error_type}")
    return "\t".join(fields) + "\t"


def _record(revision: Revision, outcome: Outcome) -> dict[str, Any]:
    metrics: dict[str, float] = {
        "durationMs": round(outcome.duration_ms, 3),
        "billedDurationMs": _billed(outcome),
        "memorySizeMB": revision.memory_mb,
        "maxMemoryUsedMB": outcome.memory_mb,
    }
    if outcome.init_ms is not None:
        metrics["initDurationMs"] = round(outcome.init_ms, 3)
    record = {"requestId": outcome.request_id, "metrics": metrics, "status": outcome.status}
    return record | ({"errorType": outcome.error_type} if outcome.error_type else {})


def _billed(outcome: Outcome) -> int:
    return math.ceil(outcome.duration_ms + (outcome.init_ms or 0.0))


def _event(kind: str, record: dict[str, Any]) -> LogLine:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return LogLine(json.dumps({"time": f"{now}Z", "type": kind, "record": record}))
