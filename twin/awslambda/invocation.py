"""An invocation, its outcome, and the revision of the function that it runs."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Self

SYNCHRONOUS_PAYLOAD_BYTES = 6 * 1024 * 1024
# The limit of a response is a little above 6 MB: AWS's own error message names it.
RESPONSE_PAYLOAD_BYTES = 6_291_556


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a function.

    payload:      JSON, as bytes.
    function_arn: the ARN that was called, with its qualifier if it had one.
    """

    payload: bytes
    function_arn: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Revision:
    """A snapshot of one version of a function: two invocations share a process only if all of this is equal.

    function_arn:    without a qualifier.
    layers:          (ARN of the layer's version, its digest), in the order in which they are laid over each other.
    role:            ARN of the execution role.
    memory_mb:       the configured memory; reported, and more is warned of, but not enforced.
    timeout_seconds: real seconds, not scaled: the work in a function is real.
    """

    function_arn: str
    name: str
    version: str
    handler: str
    runtime: str
    memory_mb: int
    timeout_seconds: float
    region: str
    code_sha256: str
    layers: tuple[tuple[str, str], ...]
    variables: tuple[tuple[str, str], ...]
    log_group: str
    role: str

    @classmethod
    def of(cls, function: Any) -> Self:
        """The present state of moto's `function`."""
        return cls(
            function_arn=":".join(function.function_arn.split(":")[:7]),
            name=function.function_name,
            version=str(function.version),
            handler=function.handler,
            runtime=function.run_time,
            memory_mb=int(function.memory_size),
            timeout_seconds=float(function.timeout),
            region=function.region,
            code_sha256=function.code_sha_256,
            layers=tuple((layer.arn, layer.code_sha_256) for layer in function.layer_versions),
            variables=tuple(sorted(function.environment_vars.items())),
            log_group=function.logs_group_name,
            role=function.role,
        )


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event of the function's log; `timestamp` in milliseconds since 1970."""

    message: str
    timestamp: int = field(default_factory=lambda: int(time.time() * 1000))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an invocation.

    failed:       the invocation ended in an error; `payload` is then AWS's error object.
    status:       `success`, `error` (the runtime broke), `timeout`, as REPORT names it.
    error_type:   of what broke the runtime, such as `Runtime.ExitError`.
    init_ms:      how long the start of the environment took, when this invocation was its first.
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
    """The concurrency limit refuses an invocation; `reason` is AWS's."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Rate Exceeded: {reason}")
        self.reason = reason


def error_payload(error_type: str, message: str) -> bytes:
    """AWS's error object for an error of the platform, not of the function."""
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()
