"""Event source mappings: checked when they are made or changed, and polled while they are enabled.

`EventSources(context).start()` begins, `stop()` ends; start it after the server, stop it before the Lambda pool.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError

from twin.context import Context
from twin.moto_patches.registry import original
from twin.sqs import queues
from twin.sqs.poller import Poller

_BACKEND = "moto.awslambda.models:LambdaBackend"
_SUPPORTED = {
    "FunctionName", "EventSourceArn", "Enabled", "BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes",
    "ScalingConfig", "Tags", "UUID",
    "RegionName", "AccountId", "FunctionArn",  # moto's own additions
}  # fmt: skip
_LOOK_SECONDS = 0.5  # new mappings are polled at once; this look finds deleted ones, which takes longer on AWS too
_END_SECONDS = 2.0

_changed: list[Callable[[], None]] = []
"""Called after every change of a mapping."""


class _Conflict(LambdaClientError):
    code = 409


class EventSources:
    """One poller for each enabled mapping."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pollers: dict[str, Poller] = {}
        self._look = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="event sources", daemon=True)

    def start(self) -> Self:
        """Poll for every present and future mapping."""
        _changed.append(self._look.set)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Take no more messages."""
        self._stopping = True
        _changed.remove(self._look.set)
        self._look.set()
        self._thread.join(_END_SECONDS)
        for poller in self._pollers.values():
            poller.stop(abandon=True)
        for poller in self._pollers.values():
            poller.join(_END_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            self._look.clear()
            self._reconcile()
            self._look.wait(_LOOK_SECONDS)

    def _reconcile(self) -> None:
        wanted = {mapping.uuid: mapping for mapping in _enabled()}
        for uuid in self._pollers.keys() - wanted.keys():
            self._pollers.pop(uuid).stop()
        for uuid in wanted.keys() - self._pollers.keys():
            self._pollers[uuid] = Poller(wanted[uuid], self._context)
            self._pollers[uuid].start()


def create_event_source_mapping(self: Any, spec: dict[str, Any]) -> Any:
    """LambdaBackend.create_event_source_mapping, for SQS, with AWS's checks."""
    service = (str(spec.get("EventSourceArn")).split(":") + [""] * 3)[2]
    if service != "sqs" or spec["EventSourceArn"].endswith(".fifo"):
        raise InvalidParameterValueException(f"the twin polls standard SQS queues only, not {spec['EventSourceArn']}")
    function = self.get_function(spec["FunctionName"])
    for mapping in self._event_source_mappings.values():
        if (mapping.event_source_arn, mapping.function_arn) == (spec["EventSourceArn"], function.function_arn):
            message = f"An event source mapping with SQS arn and function already exists. UUID {mapping.uuid}"
            raise _Conflict("ResourceConflictException", message)
    _check(spec, function)
    mapping = original(f"{_BACKEND}.create_event_source_mapping")(self, spec)
    mapping.max_batch_window = spec.get("MaximumBatchingWindowInSeconds", 0)
    _notify()
    return mapping


def update_event_source_mapping(self: Any, uuid: str, spec: dict[str, Any]) -> Any:
    """LambdaBackend.update_event_source_mapping, with the same checks on what the mapping becomes."""
    mapping = self.get_event_source_mapping(uuid)
    if mapping is not None:
        _check({**_present(mapping), **spec}, self.get_function(spec.get("FunctionName") or mapping.function_arn))
    updated = original(f"{_BACKEND}.update_event_source_mapping")(self, uuid, spec)
    _notify()
    return updated


def _notify() -> None:
    for listener in list(_changed):
        listener()


def _present(mapping: Any) -> dict[str, Any]:
    """A mapping as the request that would create it."""
    return {
        "EventSourceArn": mapping.event_source_arn,
        "BatchSize": mapping.batch_size,
        "MaximumBatchingWindowInSeconds": mapping.max_batch_window,
        "FunctionResponseTypes": mapping.function_response_types,
        "ScalingConfig": mapping.scaling_config,
    }


def _check(spec: dict[str, Any], function: Any) -> None:
    if unknown := sorted(name for name, value in spec.items() if name not in _SUPPORTED and value is not None):
        raise InvalidParameterValueException(f"the twin does not support {', '.join(unknown)} of an SQS event source")
    batch, window = spec.get("BatchSize") or 10, spec.get("MaximumBatchingWindowInSeconds") or 0
    if not 1 <= batch <= 10_000:
        raise InvalidParameterValueException(f"BatchSize {batch} is not between 1 and 10000")
    if batch > 10 and window < 1:
        message = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        raise InvalidParameterValueException(message)
    maximum = (spec.get("ScalingConfig") or {}).get("MaximumConcurrency")
    if maximum is not None and not 2 <= maximum <= 1000:
        raise InvalidParameterValueException(f"MaximumConcurrency {maximum} is not between 2 and 1000")
    _check_visibility(spec["EventSourceArn"], function)


def _check_visibility(queue_arn: str, function: Any) -> None:
    queue = queues.find(queue_arn)
    if queue is None:
        name = queue_arn.rpartition(":")[2]
        raise InvalidParameterValueException(
            f"Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue: {name}"
        )
    if queue.visibility_timeout < function.timeout:
        raise InvalidParameterValueException(
            f"Queue visibility timeout: {queue.visibility_timeout} seconds is less than "
            f"Function timeout: {function.timeout} seconds"
        )


def _enabled() -> list[Any]:
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415 - moto is heavy

    return [
        mapping
        for account in list(lambda_backends.values())
        for backend in list(account.values())
        for mapping in list(backend._event_source_mappings.values())
        if mapping.enabled
    ]
