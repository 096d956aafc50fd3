"""How AWS answers a call whose runtime did this or that: payload, status and error type."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass

from twin.awslambda.invocation import RESPONSE_PAYLOAD_BYTES, Invocation, error_payload
from twin.awslambda.runtime_api import Report


@dataclass(frozen=True, slots=True)
class Verdict:
    """status and error_type as in the log's REPORT line; payload is what the caller gets."""

    payload: bytes
    status: str
    error_type: str | None = None


def verdict(said: Report, invocation: Invocation, limit_seconds: float) -> Verdict:
    """What the caller gets. limit_seconds: the limit that a `timeout` ran into."""
    prefix = f"RequestId: {invocation.request_id} Error:"
    match said.kind:
        case "response":
            return Verdict(said.body, "success")
        case "error" | "init_error":
            return Verdict(said.body, "error", _error_type(said.body))
        case "timeout":
            message = f"{prefix} Task timed out after {limit_seconds:.2f} seconds"
            return Verdict(error_payload("Sandbox.Timedout", message), "timeout")
        case "too_large":
            message = (
                f"Response payload size ({said.body.decode()} bytes) exceeded maximum allowed payload size "
                f"({RESPONSE_PAYLOAD_BYTES} bytes)."
            )
            kind = "Function.ResponseSizeTooLarge"
            return Verdict(error_payload(kind, message), "error", kind)
        case _:
            kind = "Runtime.ExitError"
            return Verdict(error_payload(kind, f"{prefix} {said.body.decode()}"), "error", kind)


def ending(return_code: int) -> str:
    """How a process ended, in AWS's words; negative: the signal that killed it."""
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
