"""What AWS reports about an invocation: the platform's START, END and REPORT lines, and the caller's response."""

from __future__ import annotations

import datetime
import json
import math
import signal
from dataclasses import dataclass

from twin.awslambda.invocation import (
    RESPONSE_PAYLOAD_BYTES,
    Invocation,
    LogLine,
    Outcome,
    Revision,
    error_payload,
)
from twin.awslambda.runtime_api import Report


@dataclass(frozen=True, slots=True)
class Response:
    """status and error_type as in the log's REPORT line; payload is what the caller gets."""

    payload: bytes
    status: str
    error_type: str | None = None


def start(revision: Revision, request_id: str) -> LogLine:
    """The first line of an invocation."""
    return LogLine(f"START RequestId: {request_id} Version: {revision.version}")


def end(revision: Revision, outcome: Outcome) -> tuple[LogLine, ...]:
    """The last lines of an invocation."""
    fields = [
        f"REPORT RequestId: {outcome.request_id}",
        f"Duration: {outcome.duration_ms:.2f} ms",
        f"Billed Duration: {math.ceil(outcome.duration_ms + (outcome.init_ms or 0.0))} ms",
        f"Memory Size: {revision.memory_mb} MB",
        f"Max Memory Used: {outcome.memory_mb} MB",
    ]
    if outcome.init_ms is not None:
        fields.append(f"Init Duration: {outcome.init_ms:.2f} ms")
    if outcome.status != "success":
        fields.append(f"Status: {outcome.status}")
    if outcome.error_type:
        fields.append(f"Error Type: {outcome.error_type}")
    return (LogLine(f"END RequestId: {outcome.request_id}"), LogLine("\t".join(fields) + "\t"))


def timed_out(request_id: str, timeout_seconds: float) -> LogLine:
    """The line of a function that took too long."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return LogLine(f"{now}Z {request_id} Task timed out after {timeout_seconds:.2f} seconds\n")


def response(report: Report, invocation: Invocation, limit_seconds: float) -> Response:
    """The caller's response. limit_seconds: the limit that a `timeout` exceeded."""
    prefix = f"RequestId: {invocation.request_id} Error:"
    match report.kind:
        case "response":
            return Response(report.body, "success")
        case "error" | "init_error":
            return Response(report.body, "error", _error_type(report.body))
        case "timeout":
            message = f"{prefix} Task timed out after {limit_seconds:.2f} seconds"
            return Response(error_payload("Sandbox.Timedout", message), "timeout")
        case "too_large":
            message = (
                f"Response payload size ({report.body.decode()} bytes) exceeded maximum allowed payload size "
                f"({RESPONSE_PAYLOAD_BYTES} bytes)."
            )
            kind = "Function.ResponseSizeTooLarge"
            return Response(error_payload(kind, message), "error", kind)
        case _:
            kind = "Runtime.ExitError"
            return Response(error_payload(kind, f"{prefix} {report.body.decode()}"), "error", kind)


def exit_reason(return_code: int) -> str:
    """Why a process ended, as AWS words it; a negative code is the signal that killed it."""
    if return_code < 0:
        name = (signal.strsignal(-return_code) or str(-return_code)).lower()
        return f"Runtime exited with error: signal: {name}"
    if return_code:
        return f"Runtime exited with error: exit status {return_code}"
    return "Runtime exited without providing a reason"


def _error_type(body: bytes) -> str | None:
    try:
        described = json.loads(body)
    except ValueError:
        return None
    return str(described.get("errorType")) if isinstance(described, dict) else None
