"""Replacements in moto's Lambda API: Invoke runs real processes; configurations keep what moto drops."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.utilities.aws_headers import amz_crc32

from twin.awslambda import pool
from twin.awslambda.invocation import SYNCHRONOUS_PAYLOAD_BYTES, Invocation, Outcome, Throttled
from twin.iam import sessions
from twin.moto_patches.registry import original

LOG_TAIL_BYTES = 4096
_MODELS = "moto.awslambda.models"
_UNSUPPORTED = ("DeadLetterConfig", "FileSystemConfigs", "KMSKeyArn", "TracingConfig", "VpcConfig")


class _Refused(LambdaClientError):
    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(error, message)
        self.code = status


@amz_crc32
def invoke(self: Any) -> tuple[int, dict[str, str], bytes]:
    """LambdaResponse.invoke: POST /2015-03-31/functions/<name or ARN>/invocations."""
    name = unquote(self.path.rstrip("/").rsplit("/", 2)[-2])
    qualifier = self.querystring.get("Qualifier", [None])[0]
    function = self.backend.get_function(name, qualifier)
    kind = self.headers.get("X-Amz-Invocation-Type") or "RequestResponse"
    if kind != "RequestResponse":
        raise InvalidParameterValueException(f"the twin invokes functions synchronously only, not with type {kind}")
    body = self.body.encode() if isinstance(self.body, str) else (self.body or b"")
    try:
        invocation = Invocation(_checked(body), _called_arn(function, name, qualifier))
        outcome = pool.current().invoke(function, invocation)
    except Throttled as throttled:
        raise _Refused(429, "TooManyRequestsException", "Rate Exceeded.") from throttled
    return 200, _headers(function, outcome, tail=self.headers.get("X-Amz-Log-Type") == "Tail"), outcome.payload


def init_function(self: Any, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1) -> None:
    """LambdaFunction.__init__: also keeps LoggingConfig and layers; refuses what cannot run here."""
    _check(spec)
    check_role(spec["Role"])
    original(f"{_MODELS}:LambdaFunction.__init__")(self, account_id, spec, region, version)
    self.layer_versions = _layer_versions(self)
    _set_logging(self, spec.get("LoggingConfig"))


def get_configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
    """LambdaFunction.get_configuration: with LoggingConfig."""
    found: dict[str, Any] = original(f"{_MODELS}:LambdaFunction.get_configuration")(self, on_create)
    found["LoggingConfig"] = self.logging_config
    return found


def update_configuration(self: Any, config_updates: dict[str, Any]) -> dict[str, Any]:
    """LambdaFunction.update_configuration: also the settings that moto ignores; the function's processes end."""
    _check({"Runtime": self.run_time, **config_updates})
    original(f"{_MODELS}:LambdaFunction.update_configuration")(self, config_updates)
    if "Layers" in config_updates:
        self.layer_versions = _layer_versions(self)
    if "LoggingConfig" in config_updates:
        _set_logging(self, config_updates["LoggingConfig"])
    if "EphemeralStorage" in config_updates:
        self.ephemeral_storage = config_updates["EphemeralStorage"]["Size"]
    _retire(self)
    return get_configuration(self)


def update_function_code(self: Any, updated_spec: dict[str, Any]) -> dict[str, Any]:
    """LambdaFunction.update_function_code: the processes with the old code end."""
    original(f"{_MODELS}:LambdaFunction.update_function_code")(self, updated_spec)
    _retire(self)
    return get_configuration(self)


def delete_function(self: Any, name_or_arn: str, qualifier: str | None = None) -> None:
    """LambdaStorage.del_function: the function's processes end with it."""
    function = self.get_function_by_name_or_arn_with_qualifier(name_or_arn, qualifier)
    original(f"{_MODELS}:LambdaStorage.del_function")(self, name_or_arn, qualifier)
    _retire(function)


def _checked(body: bytes) -> bytes:
    """The payload as a function gets it. Raises AWS's errors for a payload that is too large or not JSON."""
    if len(body) > SYNCHRONOUS_PAYLOAD_BYTES:
        message = f"Request must be smaller than {SYNCHRONOUS_PAYLOAD_BYTES} bytes for the InvokeFunction operation"
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
    """context.invoked_function_arn: with the caller's qualifier, if there is one."""
    parts = name.split(":")
    if name.startswith("arn:"):
        qualifier = parts[7] if len(parts) > 7 else qualifier
    elif len(parts) == 2:
        qualifier = parts[1]
    base = ":".join(function.function_arn.split(":")[:7])
    return f"{base}:{qualifier}" if qualifier else base


def _layer_versions(function: Any) -> list[Any]:
    """moto's layer versions of a function. As on AWS it keeps them when they are deleted."""
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415 - this module is resolved while moto's is patched

    layers = lambda_backends[function.account_id][function.region]
    return [layers.layers_versions_by_arn(layer["Arn"]) for layer in function.layers]


def _set_logging(function: Any, wanted: dict[str, Any] | None) -> None:
    default = f"/aws/lambda/{function.function_name}"
    function.logging_config = {"LogFormat": "Text", "LogGroup": default, **(wanted or {})}
    function.logs_group_name = function.logging_config["LogGroup"]


def _check(spec: dict[str, Any]) -> None:
    """Refuse at creation what could only fail later."""
    if spec.get("PackageType", "Zip") != "Zip":
        raise InvalidParameterValueException("the twin runs functions from zip archives, not from container images")
    runtime = str(spec.get("Runtime"))
    if not runtime.startswith("python3."):
        raise InvalidParameterValueException(f"the twin runs Python functions only, not {runtime}")
    if unsupported := [name for name in _UNSUPPORTED if spec.get(name)]:
        raise InvalidParameterValueException(f"the twin does not support {', '.join(unsupported)} of a function")
    if (spec.get("LoggingConfig") or {}).get("LogFormat", "Text") != "Text":
        raise InvalidParameterValueException("the twin writes logs in the format Text only")


def check_role(role: str) -> None:
    """Refuse a role that Lambda cannot assume, as CreateFunction does."""
    try:
        sessions.assume(role, sessions.LAMBDA, "check")
    except sessions.CannotAssume as error:
        raise InvalidParameterValueException(
            f"The role defined for the function cannot be assumed by Lambda: {error}"
        ) from error


def _retire(function: Any) -> None:
    """In the background: ending processes takes a moment, and the caller's response does not depend on it."""
    arn = ":".join(function.function_arn.split(":")[:7])
    threading.Thread(target=pool.retire, args=(arn,), name="lambda retire", daemon=True).start()
