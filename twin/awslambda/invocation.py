"""One call of a function, and what came of it, in AWS's words."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field

SYNCHRONOUS_PAYLOAD_BYTES = 6 * 1024 * 1024
ASYNCHRONOUS_PAYLOAD_BYTES = 1024 * 1024
# The limit of a response is a little above 6 MB: AWS's own error message names it.
RESPONSE_PAYLOAD_BYTES = 6_291_556


@dataclass(frozen=True, slots=True)
class Invocation:
    """What is asked of a function.

    payload:        JSON, as bytes.
    function_arn:   the ARN that was called, with its qualifier if it had one.
    client_context: the mobile SDKs' context, JSON, or nothing.
    """

    payload: bytes
    function_arn: str
    client_context: str | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event of the function's log; `timestamp` in milliseconds since 1970."""

    message: str
    timestamp: int = field(default_factory=lambda: int(time.time() * 1000))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to.

    failed:       the call ended in an error; `payload` is then AWS's error object.
    status:       `success`, `error` (the runtime broke), `timeout`, as REPORT names it.
    error_type:   of what broke the runtime, such as `Runtime.ExitError`.
    init_ms:      how long the start of the environment took, when this call was its first.
    """

    request_id: str
    payload: bytes
    failed: bool
    log: tuple[LogLine, ...] = ()
    duration_ms: float = 0.0
    init_ms: float | None = None
    memory_mb: int = 0
    status: str = "success"
    error_type: str | None = None


class Throttled(Exception):
    """No environment may be added for this call; `reason` is AWS's."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Rate Exceeded: {reason}")
        self.reason = reason


def error_payload(error_type: str, message: str) -> bytes:
    """AWS's error object for what the platform, not the function, has to report."""
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()
