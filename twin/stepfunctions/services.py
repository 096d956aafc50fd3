"""How the interpreter's tasks reach services: which class serves which resource, and the case of their parameters."""

from __future__ import annotations

from typing import Any

from twin.moto_patches.registry import original
from twin.stepfunctions import names
from twin.stepfunctions.jobs import ACTIONS, JobTask

FACTORY = "moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_factory:state_task_service_for"
AWS_SDK_CHECK = (
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk"
    ":StateTaskServiceAwsSdk._validate_service_integration_is_supported"
)


def state_task_service_for(service_name: str) -> Any:
    """The class for `arn:aws:states:::<service_name>:…`; an integration that would only be forwarded is refused."""
    if service_name in ACTIONS:
        return JobTask()
    task = original(FACTORY)(service_name=service_name)
    if type(task).__name__ == "StateTaskServiceUnsupported":
        raise ValueError(f"the twin does not run arn:aws:states:::{service_name}: use aws-sdk:{service_name}")
    return task


def check_sdk_resource(self: Any) -> None:
    """Refuse `aws-sdk:` resources that no AWS service has, when the state machine is made."""
    service = names.BOTO_NAMES.get(self.resource.api_name, self.resource.api_name)
    if names.operation(service, self.resource.api_action) is None:
        raise ValueError(
            f"The resource provided {self.resource.resource_arn} is not recognized: "
            f"{self.resource.api_name} has no action {self.resource.api_action}."
        )


def normalise_parameters(
    self: Any, parameters: dict[str, Any], boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    """Parameters in the API's own case, with objects as JSON text where the API takes text."""
    operation = _operation(self, boto_service_name, service_action_name)
    if operation is not None and operation.input_shape is not None:
        self._to_boto_request(parameters, operation.input_shape)


def normalise_response(
    self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    """Answers in Step Functions' case; streams become text."""
    operation = _operation(self, boto_service_name, service_action_name)
    if operation is not None and operation.output_shape is not None:
        self._from_boto_response(response, operation.output_shape)


def _operation(self: Any, service: str | None, action: str | None) -> Any:
    return names.operation(self._get_boto_service_name(service), action or self.resource.api_action)
