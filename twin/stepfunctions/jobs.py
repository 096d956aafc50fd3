"""`.sync` for SageMaker, Athena and Glue: start, poll until the job has ended, stop it when the task ends before.

moto warns and forwards these services' calls, and knows `.sync` for none of them.
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
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

from twin.stepfunctions import faults, names
from twin.stepfunctions.pace import Interrupted

POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Job:
    """How one kind of job is followed.

    describe, stop: the client's methods.
    keys:           what addresses the job, as (parameter, where the request or its answer has the value).
    stop_keys:      the same for `stop`, where that differs.
    status:         the path of the status in the description.
    """

    describe: str
    stop: str
    keys: tuple[tuple[str, str], ...]
    status: tuple[str, ...]
    succeeded: frozenset[str]
    failed: frozenset[str]
    plural_stop: str = ""


def _sagemaker(kind: str, snake: str) -> Job:
    return Job(
        describe=f"describe_{snake}",
        stop=f"stop_{snake}",
        keys=((f"{kind}Name", f"{kind}Name"),),
        status=(f"{kind}Status",),
        succeeded=frozenset({"Completed"}),
        failed=frozenset({"Failed", "Stopped"}),
    )


JOBS: dict[tuple[str, str], Job] = {
    ("sagemaker", "createTrainingJob"): _sagemaker("TrainingJob", "training_job"),
    ("sagemaker", "createHyperParameterTuningJob"): _sagemaker("HyperParameterTuningJob", "hyper_parameter_tuning_job"),
    ("sagemaker", "createProcessingJob"): _sagemaker("ProcessingJob", "processing_job"),
    ("sagemaker", "createTransformJob"): _sagemaker("TransformJob", "transform_job"),
    ("athena", "startQueryExecution"): Job(
        describe="get_query_execution",
        stop="stop_query_execution",
        keys=(("QueryExecutionId", "QueryExecutionId"),),
        status=("QueryExecution", "Status", "State"),
        succeeded=frozenset({"SUCCEEDED"}),
        failed=frozenset({"FAILED", "CANCELLED"}),
    ),
    ("glue", "startJobRun"): Job(
        describe="get_job_run",
        stop="batch_stop_job_run",
        keys=(("JobName", "JobName"), ("RunId", "JobRunId")),
        status=("JobRun", "JobRunState"),
        succeeded=frozenset({"SUCCEEDED"}),
        failed=frozenset({"FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}),
        plural_stop="JobRunIds",
    ),
}

#: The actions that AWS integrates by name; anything else is reached as `aws-sdk:<service>:<action>`.
ACTIONS: dict[str, frozenset[str]] = {
    "sagemaker": frozenset(
        {
            *(action for service, action in JOBS if service == "sagemaker"),
            *("createEndpoint", "createEndpointConfig", "createLabelingJob", "createModel", "updateEndpoint"),
        }
    ),
    "athena": frozenset({"startQueryExecution", "stopQueryExecution", "getQueryExecution", "getQueryResults"}),
    "glue": frozenset({"startJobRun"}),
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
            name = names.optimised_error(self.resource.service_name, ex)
            return self._failure(env, name, str(ex.response["Error"].get("Message", ex)))
        return super()._from_error(env=env, ex=ex)

    def _failure(self, env: Any, error: str, cause: str) -> Any:
        failed = TaskFailedEventDetails(
            resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type(), error=error, cause=cause
        )
        details: Any = {"taskFailedEventDetails": failed}
        return FailureEvent(
            env=env,
            error_name=faults.error_name(error),
            event_type=HistoryEventType.TaskFailed,
            event_details=details,
        )

    def _build_sync_resolver(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> Callable[[], Any]:
        job = JOBS[(self.resource.service_name, self.resource.api_action)]
        known = {**normalised_parameters, **env.stack.pop()}
        address = {parameter: known[source] for parameter, source in job.keys}
        client = self._client(resource_runtime_part, state_credentials)
        return _Follow(job, client, address, lambda cause: self._failure(env, "States.TaskFailed", cause))

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
        raise Interrupted  # nobody waits for a result any more


class _Follow:
    """One job that is followed: called, it gives the description of a job that has succeeded, or None."""

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
        address = dict(self._address)
        if self._job.plural_stop:
            address[self._job.plural_stop] = [address.pop("RunId")]
        with contextlib.suppress(ClientError, BotoCoreError):  # it may have ended meanwhile
            getattr(self._client, self._job.stop)(**address)
