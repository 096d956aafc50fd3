"""The interpreter's boto3 clients, and the names that Step Functions gives to services and their errors."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, DataNotFoundError, UnknownServiceError
from botocore.response import StreamingBody

from twin import context
from twin.iam import sessions
from twin.moto_patches.registry import original
from twin.stepfunctions.queries import plain

#: Where moto evaluates which role a task runs under.
CREDENTIALS = (
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task:StateTask._eval_state_credentials"
)

#: Services whose name in an `aws-sdk` resource (from the SDK for Java) is not botocore's.
BOTO_NAMES: Mapping[str, str] = {
    "sfn": "stepfunctions",
    "states": "stepfunctions",
    "eventbridge": "events",
    "sagemakerruntime": "sagemaker-runtime",
    "cloudwatchlogs": "logs",
}

#: The service's part of an error's name, by the name in the resource.
ERROR_NAMES: Mapping[str, str] = {
    "athena": "Athena",
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "dynamodb": "DynamoDb",
    "eventbridge": "EventBridge",
    "firehose": "Firehose",
    "glue": "Glue",
    "lambda": "Lambda",
    "s3": "S3",
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "sfn": "Sfn",
    "sns": "Sns",
    "sqs": "Sqs",
}

#: What the optimised integrations call an error that the service's model does not name (throttling, validation).
GENERIC_ERRORS: Mapping[str, str] = {
    "athena": "Athena.AmazonAthenaException",
    "sagemaker": "SageMaker.AmazonSageMakerException",
}

_lock = threading.Lock()
#: A function may run for 15 minutes.
_READ_SECONDS = 1000


@functools.cache
def service_model(boto_name: str) -> Any:
    """botocore's model of a service; None for an unknown service."""
    try:
        return _session().get_service_model(boto_name)
    except (UnknownServiceError, DataNotFoundError):
        return None


@functools.cache
def _session() -> Any:
    return botocore.session.get_session()


def operation(boto_name: str, action: str) -> Any:
    """The operation that a resource's action (camelCase) names; None when the service has none."""
    model = service_model(boto_name)
    name = action[:1].upper() + action[1:]
    return model.operation_model(name) if model is not None and name in model.operation_names else None


def optimised_error(service: str, error: ClientError) -> str:
    """The name of an error of an optimised integration: the modelled one, or the service's generic one."""
    code = str(error.response["Error"]["Code"])
    model = service_model(BOTO_NAMES.get(service, service))
    if code not in {shape.error_code for shape in model.error_shapes} | {shape.name for shape in model.error_shapes}:
        return GENERIC_ERRORS[service]
    return f"{ERROR_NAMES[service]}.{code if code.endswith('Exception') else code + 'Exception'}"


class _Role(threading.local):
    """The role that the task in this thread runs under, and the name of its sessions."""

    arn = ""


_role = _Role()
SESSION = "states"


def eval_state_credentials(self: Any, env: Any) -> Any:
    """StateTask._eval_state_credentials: the thread's next clients call with this role."""
    found = original(CREDENTIALS)(self, env)
    _role.arn = found.role_arn
    return found


def client(*, service_name: str, region_name: str, role: str = "", **_: Any) -> Any:
    """The client for a service, which calls with `role` or the task's.

    The twin's endpoint is read each time, as tests enter several twins. CannotAssume when Step Functions may not
    assume the role.
    """
    credentials = sessions.assume(role or _role.arn, sessions.STATES, SESSION)
    with _lock:
        return _client(context.current().endpoint, service_name, region_name, credentials)


@functools.cache
def _client(endpoint: str, service: str, region: str, credentials: sessions.Credentials) -> Any:
    built = boto3.client(
        service,  # type: ignore[call-overload]  # any service by name
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
        config=Config(
            retries={"total_max_attempts": 1},
            read_timeout=_READ_SECONDS,
            max_pool_connections=50,
            inject_host_prefix=False,
        ),
    )
    built.meta.events.register("after-call", _make_json)
    return built


class Boto3:
    """Replaces the module boto3 in the interpreter."""

    client = staticmethod(client)


def _make_json(parsed: dict[str, Any], **_: Any) -> None:
    """Times become ISO 8601, as Step Functions shows them; streams stay, since a Distributed Map reads them."""
    for name, value in parsed.items():
        if not isinstance(value, bytes | StreamingBody) and not hasattr(value, "read"):
            parsed[name] = plain(value)
