"""How Step Functions names services and their errors, where that differs from botocore."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.exceptions import ClientError, DataNotFoundError, UnknownServiceError

#: Services whose name in an `aws-sdk` resource (from the SDK for Java) is not botocore's.
BOTO_NAMES: Mapping[str, str] = {
    "sfn": "stepfunctions",
    "states": "stepfunctions",
    "eventbridge": "events",
    "sagemakerruntime": "sagemaker-runtime",
    "sagemakerfeaturestoreruntime": "sagemaker-featurestore-runtime",
    "cloudwatchlogs": "logs",
    "cloudformation": "cloudformation",
    "secretsmanager": "secretsmanager",
    "servicequotas": "service-quotas",
    "applicationautoscaling": "application-autoscaling",
    "athena": "athena",
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
    "lakeformation": "LakeFormation",
    "lambda": "Lambda",
    "s3": "S3",
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "secretsmanager": "SecretsManager",
    "servicequotas": "ServiceQuotas",
    "sfn": "Sfn",
    "sns": "Sns",
    "sqs": "Sqs",
}

#: What the optimised integrations call an error that the service's model does not name (throttling, validation).
GENERIC_ERRORS: Mapping[str, str] = {
    "athena": "Athena.AmazonAthenaException",
    "glue": "Glue.AWSGlueException",
    "sagemaker": "SageMaker.AmazonSageMakerException",
}


@functools.cache
def service_model(boto_name: str) -> Any:
    """botocore's model of a service; None when there is no such service."""
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
