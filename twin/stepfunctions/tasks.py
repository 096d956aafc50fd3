"""The interpreter's tasks: `.sync` jobs (start, poll, stop), refused resources, parameter case and error names.

moto forwards SageMaker's and Athena's calls with a warning and supports `.sync` for neither.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

from twin.moto_patches.registry import original
from twin.stepfunctions import clients, requests
from twin.stepfunctions.flow import Interrupted

POLL_SECONDS = 0.2

FACTORY = "moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_factory:state_task_service_for"
AWS_SDK_CHECK = (
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk"
    ":StateTaskServiceAwsSdk._validate_service_integration_is_supported"
)


def error_name(error_name: str | None) -> Any:
    """The object for a name. moto refuses `States.*` here, so a Map whose task failed fails with States.Runtime."""
    if error_name is None or not error_name.startswith("States."):
        return CustomErrorName(error_name)
    try:
        return StatesErrorName(typ=StatesErrorNameType.from_name(error_name))
    except ValueError:
        return ErrorName(error_name=error_name)


@dataclass(frozen=True, slots=True)
class Job:
    """How one kind of job is followed.

    describe, stop: the client's methods.
    key:            the parameter that names the job, also in the request or in its response.
    status:         the path of the status in the description.
    """

    describe: str
    stop: str
    key: str
    status: tuple[str, ...]
    succeeded: frozenset[str]
    failed: frozenset[str]


def _sagemaker(kind: str, snake: str) -> Job:
    return Job(
        describe=f"describe_{snake}",
        stop=f"stop_{snake}",
        key=f"{kind}Name",
        status=(f"{kind}Status",),
        succeeded=frozenset({"Completed"}),
        failed=frozenset({"Failed", "Stopped"}),
    )


JOBS: dict[tuple[str, str], Job] = {
    ("sagemaker", "createTrainingJob"): _sagemaker("TrainingJob", "training_job"),
    ("sagemaker", "createHyperParameterTuningJob"): _sagemaker("HyperParameterTuningJob", "hyper_parameter_tuning_job"),
    ("sagemaker", "createProcessingJob"): _sagemaker("ProcessingJob", "processing_job"),
    ("athena", "startQueryExecution"): Job(
        describe="get_query_execution",
        stop="stop_query_execution",
        key="QueryExecutionId",
        status=("QueryExecution", "Status", "State"),
        succeeded=frozenset({"SUCCEEDED"}),
        failed=frozenset({"FAILED", "CANCELLED"}),
    ),
}


#: The actions that AWS integrates by name; anything else is reached as `aws-sdk:<service>:<action>`.
ACTIONS: dict[str, frozenset[str]] = {
    "sagemaker": frozenset(
        {
            *(action for service, action in JOBS if service == "sagemaker"),
            *("createEndpoint", "createEndpointConfig", "createModel", "updateEndpoint"),
        }
    ),
    "athena": frozenset({"startQueryExecution"}),
}


class JobTask(StateTaskServiceCallback):
    """A task of an optimised integration: request-response, or `.sync`."""

    def __init__(self) -> None:
        # WaitForTaskToken is in the list since moto dereferences the callback's endpoint unconditionally.
        super().__init__(
            supported_integration_patterns={
                ResourceCondition(ResourceCondition.Sync),
                ResourceCondition(ResourceCondition.WaitForTaskToken),
            }
        )

    def _validate_service_integration_is_supported(self) -> None:
        service, action = self.resource.service_name, self.resource.api_action
        if action not in ACTIONS[service]:
            raise ValueError(f"The resource provided {self.resource.resource_arn} is not recognized.")
        job = (service, action) in JOBS
        if self.resource.condition not in (None, ResourceCondition.Sync) or (self.resource.condition and not job):
            raise ValueError(f"{self.resource.resource_arn}: {service}:{action} has no .{self.resource.condition}")

    def _client(self, part: Any, credentials: Any) -> Any:
        return boto_client_for(service=self._get_boto_service_name(), region=part.region, state_credentials=credentials)

    def _eval_service_task(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        client = self._client(resource_runtime_part, state_credentials)
        answer = getattr(client, self._get_boto_service_action())(**normalised_parameters)
        answer.pop("ResponseMetadata", None)
        env.stack.append(answer)

    def _from_error(self, env: Any, ex: Exception) -> Any:
        if isinstance(ex, ClientError):
            name = clients.optimised_error(self.resource.service_name, ex)
            return self._failure(env, name, str(ex.response["Error"].get("Message", ex)))
        return super()._from_error(env=env, ex=ex)

    def _failure(self, env: Any, error: str, cause: str) -> Any:
        failed = TaskFailedEventDetails(
            resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type(), error=error, cause=cause
        )
        details: Any = {"taskFailedEventDetails": failed}
        return FailureEvent(
            env=env,
            error_name=error_name(error),
            event_type=HistoryEventType.TaskFailed,
            event_details=details,
        )

    def _build_sync_resolver(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> Callable[[], Any]:
        job = JOBS[(self.resource.service_name, self.resource.api_action)]
        known = {**normalised_parameters, **env.stack.pop()}
        client = self._client(resource_runtime_part, state_credentials)
        return _JobPoller(
            job, client, {job.key: known[job.key]}, lambda cause: self._failure(env, "States.TaskFailed", cause)
        )

    def _eval_sync(self, env: Any, sync_resolver: Any, **_: Any) -> Any:  # type: ignore[override]  # the rest is unused
        """Poll; when the execution was stopped or the task timed out, stop the job as Step Functions does."""
        while env.is_running():
            try:
                result = sync_resolver()
            except (ClientError, BotoCoreError):
                if env.is_running():
                    raise
                break
            if result is not None:
                return result
            time.sleep(POLL_SECONDS)
        sync_resolver.stop()
        raise Interrupted  # the result is no longer needed


class _JobPoller:
    """Polls one job: a call returns the description of a succeeded job, None while it runs."""

    def __init__(self, job: Job, client: Any, address: dict[str, Any], failure: Callable[[str], Any]) -> None:
        self._job = job
        self._client = client
        self._address = address
        self._failure = failure

    def __call__(self) -> dict[str, Any] | None:
        description = getattr(self._client, self._job.describe)(**self._address)
        description.pop("ResponseMetadata", None)
        status: Any = description
        for name in self._job.status:
            status = status[name]
        if status in self._job.failed:
            raise FailureEventException(self._failure(json.dumps(description)))
        return dict(description) if status in self._job.succeeded else None

    def stop(self) -> None:
        with contextlib.suppress(ClientError, BotoCoreError):  # it may have ended meanwhile
            getattr(self._client, self._job.stop)(**self._address)


def state_task_service_for(service_name: str) -> Any:
    """The class for `arn:aws:states:::<service_name>:…`; ValueError for an integration that moto would only forward."""
    if service_name in ACTIONS:
        return JobTask()
    task = original(FACTORY)(service_name=service_name)
    if type(task).__name__ == "StateTaskServiceUnsupported":
        raise ValueError(f"the twin does not run arn:aws:states:::{service_name}: use aws-sdk:{service_name}")
    return task


def check_sdk_resource(self: Any) -> None:
    """Refuse `aws-sdk:` resources that no AWS service has, when the state machine is made."""
    service = clients.BOTO_NAMES.get(self.resource.api_name, self.resource.api_name)
    if clients.operation(service, self.resource.api_action) is None:
        raise ValueError(
            f"The resource provided {self.resource.resource_arn} is not recognized: "
            f"{self.resource.api_name} has no action {self.resource.api_action}."
        )


def normalise_parameters(
    self: Any, parameters: dict[str, Any], boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    """Check a task's request, then write it in the API's own case, with objects as JSON where the API takes a string.

    Raises Unstartable or ClientError for a request that Step Functions or the service refuses.
    """
    if boto_service_name is None and service_action_name is None:  # else it is a call that moto makes for itself
        requests.check(self.resource.resource_arn, parameters)
    operation = _operation(self, boto_service_name, service_action_name)
    if operation is not None and operation.input_shape is not None:
        self._to_boto_request(parameters, operation.input_shape)


def normalise_response(
    self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    """Answers in Step Functions' case; streams become strings."""
    operation = _operation(self, boto_service_name, service_action_name)
    if operation is not None and operation.output_shape is not None:
        self._from_boto_response(response, operation.output_shape)


def _operation(self: Any, service: str | None, action: str | None) -> Any:
    return clients.operation(self._get_boto_service_name(service), action or self.resource.api_action)
