"""Which event source mappings there can be: what AWS refuses is refused, and so is what the twin cannot honour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError

from twin.moto_patches.registry import original
from twin.sqs.filters import checked

_MODELS = "moto.awslambda.models"
_HONOURED = {
    "FunctionName", "EventSourceArn", "Enabled", "BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes",
    "ScalingConfig", "FilterCriteria", "Tags", "UUID", "KMSKeyArn",
    "RegionName", "AccountId", "FunctionArn",  # moto's own additions
}  # fmt: skip

changed: list[Callable[[], None]] = []
"""Called after every change, so that pollers need not wait for their next look."""


class _Conflict(LambdaClientError):
    code = 409


def create_event_source_mapping(self: Any, spec: dict[str, Any]) -> Any:
    """LambdaBackend.create_event_source_mapping, for SQS, with AWS's checks."""
    service = (str(spec.get("EventSourceArn")).split(":") + [""] * 3)[2]
    if service != "sqs":
        raise InvalidParameterValueException(f"the twin polls SQS queues only, not {service or 'nothing'}")
    function = self.get_function(spec["FunctionName"])
    for mapping in self._event_source_mappings.values():
        if (mapping.event_source_arn, mapping.function_arn) == (spec["EventSourceArn"], function.function_arn):
            message = f"An event source mapping with SQS arn and function already exists. UUID {mapping.uuid}"
            raise _Conflict("ResourceConflictException", message)
    _check(spec, function)
    mapping = original(f"{_MODELS}:LambdaBackend.create_event_source_mapping")(self, spec)
    mapping.max_batch_window = spec.get("MaximumBatchingWindowInSeconds", 0)
    _tell()
    return mapping


def update_event_source_mapping(self: Any, uuid: str, spec: dict[str, Any]) -> Any:
    """LambdaBackend.update_event_source_mapping, with the same checks on what the mapping becomes."""
    mapping = self.get_event_source_mapping(uuid)
    if mapping is not None:
        _check({**_present(mapping), **spec}, self.get_function(spec.get("FunctionName") or mapping.function_arn))
    updated = original(f"{_MODELS}:LambdaBackend.update_event_source_mapping")(self, uuid, spec)
    _tell()
    return updated


def queue_of(mapping: Any) -> Any:
    """moto's queue behind a mapping; None when it has been deleted."""
    from moto.sqs.models import sqs_backends  # noqa: PLC0415 - moto is heavy

    _, _, _, region, account, name = mapping.event_source_arn.split(":", 5)
    return sqs_backends[account][region].queues.get(name)


def _tell() -> None:
    for listener in list(changed):
        listener()


def _present(mapping: Any) -> dict[str, Any]:
    """A mapping as the request that would create it."""
    return {
        "EventSourceArn": mapping.event_source_arn,
        "BatchSize": mapping.batch_size,
        "MaximumBatchingWindowInSeconds": mapping.max_batch_window,
        "FunctionResponseTypes": mapping.function_response_types,
        "ScalingConfig": mapping.scaling_config,
        "FilterCriteria": mapping.filter_criteria,
    }


def _check(spec: dict[str, Any], function: Any) -> None:
    if unknown := sorted(name for name, value in spec.items() if name not in _HONOURED and value is not None):
        raise InvalidParameterValueException(f"the twin does not honour {', '.join(unknown)} of an SQS event source")
    batch, window = spec.get("BatchSize") or 10, spec.get("MaximumBatchingWindowInSeconds") or 0
    fifo = spec["EventSourceArn"].endswith(".fifo")
    if not 1 <= batch <= (10 if fifo else 10_000):
        raise InvalidParameterValueException(f"BatchSize {batch} is out of range for this queue")
    if fifo and window:
        raise InvalidParameterValueException("Batching window is not supported for FIFO queues")
    if batch > 10 and window < 1:
        message = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        raise InvalidParameterValueException(message)
    maximum = (spec.get("ScalingConfig") or {}).get("MaximumConcurrency")
    if maximum is not None and not 2 <= maximum <= 1000:
        raise InvalidParameterValueException(f"MaximumConcurrency {maximum} is not between 2 and 1000")
    checked(spec.get("FilterCriteria"))
    _check_visibility(spec["EventSourceArn"], function)


def _check_visibility(queue_arn: str, function: Any) -> None:
    from moto.sqs.models import sqs_backends  # noqa: PLC0415 - moto is heavy

    _, _, _, region, account, name = queue_arn.split(":", 5)
    queue: Any = sqs_backends[account][region].queues.get(name)
    if queue is None:
        message = (
            f"Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue: {name}"
        )
        raise InvalidParameterValueException(message)
    if queue.visibility_timeout < function.timeout:
        message = (
            f"Queue visibility timeout: {queue.visibility_timeout} seconds is less than "
            f"Function timeout: {function.timeout} seconds"
        )
        raise InvalidParameterValueException(message)
