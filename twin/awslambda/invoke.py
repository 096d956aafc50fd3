"""The Invoke API: limits, kinds of invocation, and the headers of an answer, where moto runs Docker or nothing."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import LambdaClientError
from moto.utilities.aws_headers import amz_crc32

from twin.awslambda import asynchronous, pool
from twin.awslambda.invocation import (
    ASYNCHRONOUS_PAYLOAD_BYTES,
    SYNCHRONOUS_PAYLOAD_BYTES,
    Invocation,
    Outcome,
    Throttled,
)

LOG_TAIL_BYTES = 4096

Answer = tuple[int, dict[str, str], bytes]


class _Refused(LambdaClientError):
    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(error, message)
        self.code = status


@amz_crc32
def invoke_api(self: Any) -> Answer:
    """LambdaResponse.invoke: POST /2015-03-31/functions/<name or ARN>/invocations."""
    name = unquote(self.path.rstrip("/").rsplit("/", 2)[-2])
    qualifier = self.querystring.get("Qualifier", [None])[0]
    function = self.backend.get_function(name, qualifier)
    kind = self.headers.get("X-Amz-Invocation-Type") or "RequestResponse"
    body = self.body.encode() if isinstance(self.body, str) else (self.body or b"")
    if kind == "DryRun":
        return 204, {"status": "204"}, b""
    invocation = Invocation(_checked(body, kind), _called_arn(function, name, qualifier), _client_context(self.headers))
    if kind == "Event":
        asynchronous.accept(function, invocation)
        return 202, {"status": "202", "x-amzn-RequestId": invocation.request_id}, b""
    outcome = run(function, invocation)
    return 200, _headers(function, outcome, tail=self.headers.get("X-Amz-Log-Type") == "Tail"), outcome.payload


@amz_crc32
def invoke_async_api(self: Any) -> Answer:
    """LambdaResponse.invoke_async: the old API, which is Invoke with the type Event."""
    name = unquote(self.path.rstrip("/").rsplit("/", 2)[-2])
    function = self.backend.get_function(name, None)
    body = self.body.encode() if isinstance(self.body, str) else (self.body or b"")
    asynchronous.accept(function, Invocation(_checked(body, "Event"), function.function_arn))
    return 202, {"status": "202"}, b""


def invoke_function(self: Any, body: Any, request_headers: Any, response_headers: Any) -> str | bytes:
    """LambdaFunction.invoke: the way of S3, SNS and Logs, without headers and asynchronous as on AWS."""
    payload = body.encode() if isinstance(body, str) else (body or b"")
    if not request_headers or request_headers.get("X-Amz-Invocation-Type") == "Event":
        asynchronous.accept(self, Invocation(_checked(payload, "Event"), self.function_arn))
        return b""
    outcome = run(self, Invocation(_checked(payload, "RequestResponse"), self.function_arn))
    response_headers.update(_headers(self, outcome, tail=True))
    return outcome.payload


def invoke_lambda(self: Any, event: Any = None) -> tuple[str, bool, str]:
    """LambdaFunction._invoke_lambda: (payload, whether it failed, the log) of a synchronous call."""
    payload = event.encode() if isinstance(event, str) else json.dumps({} if event is None else event).encode()
    outcome = run(self, Invocation(payload, self.function_arn))
    return outcome.payload.decode(), outcome.failed, "\n".join(line.message for line in outcome.log)


def run(function: Any, invocation: Invocation) -> Outcome:
    """One synchronous call; a throttled one is AWS's 429."""
    try:
        return pool.current().invoke(function, invocation)
    except Throttled as throttled:
        raise _Refused(429, "TooManyRequestsException", "Rate Exceeded.") from throttled


def _checked(body: bytes, kind: str) -> bytes:
    """The payload as a function gets it. Raises what AWS answers to one that is too large or no JSON."""
    limit = ASYNCHRONOUS_PAYLOAD_BYTES if kind == "Event" else SYNCHRONOUS_PAYLOAD_BYTES
    if len(body) > limit:
        message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        raise _Refused(413, "RequestTooLargeException", message)
    if not body:
        return b"{}"
    try:
        json.loads(body)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise _Refused(400, "InvalidRequestContentException", message) from error
    return body


def _headers(function: Any, outcome: Outcome, *, tail: bool) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "X-Amz-Executed-Version": str(function.version),
        "x-amzn-RequestId": outcome.request_id,
    }
    if outcome.failed:
        headers["X-Amz-Function-Error"] = "Unhandled"
    if tail:
        log = "\n".join(line.message for line in outcome.log).encode()
        headers["X-Amz-Log-Result"] = base64.b64encode(log[-LOG_TAIL_BYTES:]).decode()
    return headers


def _called_arn(function: Any, name: str, qualifier: str | None) -> str:
    """context.invoked_function_arn: with the qualifier that the caller used, and only with that."""
    parts = name.split(":")
    if name.startswith("arn:"):
        qualifier = parts[7] if len(parts) > 7 else qualifier
    elif len(parts) == 2:
        qualifier = parts[1]
    base = ":".join(function.function_arn.split(":")[:7])
    return f"{base}:{qualifier}" if qualifier else base


def _client_context(headers: Any) -> str | None:
    encoded = headers.get("X-Amz-Client-Context")
    return base64.b64decode(encoded).decode() if encoded else None
