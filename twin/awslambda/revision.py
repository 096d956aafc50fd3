"""What an execution environment is made from: two invocations share a process only if all of this is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Revision:
    """A snapshot of one version of a function.

    function_arn:    without a qualifier.
    layers:          (ARN of the layer's version, its digest), in the order in which they are laid over each other.
    memory_mb:       what the function is configured with; reported, and warned of, but not enforced.
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
    log_format: str

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
            log_format=function.logging_config["LogFormat"],
        )
