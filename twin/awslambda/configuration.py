"""What moto forgets of a function's configuration, and the end of its processes when it changes."""

from __future__ import annotations

import threading
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException

from twin.awslambda import pool
from twin.moto_patches.registry import original

_MODELS = "moto.awslambda.models"


def init_function(self: Any, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1) -> None:
    """LambdaFunction.__init__: also keeps LoggingConfig, DeadLetterConfig and layers; refuses what cannot run here."""
    _check(spec)
    original(f"{_MODELS}:LambdaFunction.__init__")(self, account_id, spec, region, version)
    self.dead_letter_config = spec.get("DeadLetterConfig")
    self.layer_versions = _layer_versions(self)
    _set_logging(self, spec.get("LoggingConfig"))


def get_configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
    """LambdaFunction.get_configuration: with what `init_function` keeps."""
    found: dict[str, Any] = original(f"{_MODELS}:LambdaFunction.get_configuration")(self, on_create)
    found["LoggingConfig"] = self.logging_config
    if self.dead_letter_config:
        found["DeadLetterConfig"] = self.dead_letter_config
    return found


def update_configuration(self: Any, config_updates: dict[str, Any]) -> dict[str, Any]:
    """LambdaFunction.update_configuration: all settings, not only some; the function's processes end."""
    _check({"Runtime": self.run_time, **config_updates})
    original(f"{_MODELS}:LambdaFunction.update_configuration")(self, config_updates)
    if "Layers" in config_updates:
        self.layer_versions = _layer_versions(self)
    if "DeadLetterConfig" in config_updates:
        self.dead_letter_config = config_updates["DeadLetterConfig"]
    if "LoggingConfig" in config_updates:
        _set_logging(self, config_updates["LoggingConfig"])
    if "EphemeralStorage" in config_updates:
        self.ephemeral_storage = config_updates["EphemeralStorage"]["Size"]
    if "TracingConfig" in config_updates:
        self.tracing_config = config_updates["TracingConfig"]
    if "KMSKeyArn" in config_updates:
        self.kms_key_arn = config_updates["KMSKeyArn"]
    _retire(self)
    return get_configuration(self)


def update_function_code(self: Any, updated_spec: dict[str, Any]) -> dict[str, Any]:
    """LambdaFunction.update_function_code: the processes with the old code end."""
    original(f"{_MODELS}:LambdaFunction.update_function_code")(self, updated_spec)
    if updated_spec.get("Architectures"):
        self.architectures = updated_spec["Architectures"]
    _retire(self)
    return get_configuration(self)


def delete_function(self: Any, name_or_arn: str, qualifier: str | None = None) -> None:
    """LambdaStorage.del_function: the function's processes end with it."""
    function = self.get_function_by_name_or_arn_with_qualifier(name_or_arn, qualifier)
    original(f"{_MODELS}:LambdaStorage.del_function")(self, name_or_arn, qualifier)
    _retire(function)


def put_function_event_invoke_config(self: Any, function_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """LambdaBackend.put_function_event_invoke_config: the newest configuration counts, not the first."""
    put = original(f"{_MODELS}:LambdaBackend.put_function_event_invoke_config")
    answer: dict[str, Any] = put(self, function_name, config)
    function = self.get_function(function_name)
    function.event_invoke_config = function.event_invoke_config[-1:]
    return answer


def _layer_versions(function: Any) -> list[Any]:
    """moto's layer versions of a function. It keeps them, as on AWS, also when they are deleted."""
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


def _retire(function: Any) -> None:
    """In the background: ending processes takes a moment, and the caller's answer does not depend on it."""
    arn = ":".join(function.function_arn.split(":")[:7])
    threading.Thread(target=pool.retire, args=(arn,), name="lambda retire", daemon=True).start()
