"""Custom resources: the template's own Lambda function creates them, and responds through a pre-signed URL."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from twin import context
from twin.cloudformation.errors import ResourceError
from twin.cloudformation.resource_types.base import CreatedResource, DesiredResource, ExistingResource, Properties

DEFAULT_TIMEOUT_SECONDS = 3600
ATTEMPTS = 3
"""CloudFormation invokes asynchronously: a function that fails is invoked twice more."""
POLL_SECONDS = 0.05
MAX_RESPONSE_BYTES = 4096
"""CloudFormation's limit for a response."""


class Custom:
    """Custom::…

    Seconds are real seconds here, whatever the twin's speed: a real function does real work. CloudFormation waits for
    the response until the timeout; the twin gives up once the function has failed three times.
    """

    type = "Custom::"

    def create(self, desired: DesiredResource) -> CreatedResource:
        return _request("Create", desired, {})

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        old = _as_strings(existing.properties)
        return _request("Update", desired, {"PhysicalResourceId": existing.physical_id, "OldResourceProperties": old})

    def delete(self, existing: ExistingResource) -> None:
        stack_id = str(getattr(existing, "stack_id", ""))
        kind = str(getattr(existing, "type", self.type))
        desired = DesiredResource("", stack_id, existing.logical_id, kind, existing.properties)
        _request("Delete", desired, {"PhysicalResourceId": existing.physical_id})


def _request(request_type: str, desired: DesiredResource, extra: Properties) -> CreatedResource:
    token = desired.properties.get("ServiceToken")
    if not isinstance(token, str) or ":function:" not in token:
        raise ResourceError(f"{desired.where}: ServiceToken must be the ARN of a Lambda function")
    region = context.current().region
    bucket = context.owned_bucket(f"cloudformation-custom-resource-response-{region.replace('-', '')}")
    key = f"{uuid.uuid4()}.json"
    event = {
        "RequestType": request_type,
        "ServiceToken": token,
        "ResponseURL": context.client("s3").generate_presigned_url("put_object", {"Bucket": bucket, "Key": key}),
        "StackId": desired.stack_id,
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": desired.logical_id,
        "ResourceType": desired.type,
        "ResourceProperties": _as_strings(desired.properties),
        **extra,
    }
    deadline = time.monotonic() + float(desired.properties.get("ServiceTimeout", DEFAULT_TIMEOUT_SECONDS))
    _invoke(token, event, bucket, key, desired.where)
    response = _response(bucket, key, deadline, desired.where)
    if response.get("Status") != "SUCCESS":
        reason = response.get("Reason") or "its function responded FAILED and gave no Reason"
        raise ResourceError(f"{desired.where}: {reason}")
    physical_id = response.get("PhysicalResourceId") or extra.get("PhysicalResourceId")
    if not physical_id:
        raise ResourceError(f"{desired.where}: its function's response has no PhysicalResourceId")
    return CreatedResource(str(physical_id), dict(response.get("Data") or {}))


def _invoke(function: str, event: dict[str, Any], bucket: str, key: str, where: str) -> None:
    client = _patient_client()
    failure = ""
    for _ in range(ATTEMPTS):
        try:
            invoked = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        except ClientError as error:
            raise ResourceError(f"{where}: {error.response['Error']['Message']}") from error
        if "FunctionError" not in invoked or _fetch(bucket, key) is not None:
            return
        failure = invoked["Payload"].read().decode(errors="replace")
    raise ResourceError(f"{where}: its function failed without a response: {_reason(failure)}")


def _response(bucket: str, key: str, deadline: float, where: str) -> dict[str, Any]:
    while (body := _fetch(bucket, key)) is None:
        if time.monotonic() > deadline:
            raise ResourceError(f"{where}: its function did not respond in time; set ServiceTimeout or see its log")
        time.sleep(POLL_SECONDS)
    context.client("s3").delete_object(Bucket=bucket, Key=key)
    try:
        response = json.loads(body)
    except ValueError as error:
        raise ResourceError(f"{where}: its function's response is not JSON") from error
    if len(body) > MAX_RESPONSE_BYTES:
        raise ResourceError(
            f"{where}: its function's response has {len(body):,} bytes; {MAX_RESPONSE_BYTES:,} are allowed"
        )
    if not isinstance(response, dict):
        raise ResourceError(f"{where}: its function's response is not an object")
    return response


def _as_strings(value: Any) -> Any:
    """CloudFormation passes every scalar as a string."""
    if isinstance(value, dict):
        return {key: _as_strings(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_strings(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _fetch(bucket: str, key: str) -> bytes | None:
    try:
        body: bytes = context.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError:
        return None
    return body


def _patient_client() -> Any:
    current = context.current()
    return boto3.client(
        "lambda",
        region_name=current.region,
        endpoint_url=current.endpoint,
        aws_access_key_id=context.ACCESS_KEY,
        aws_secret_access_key=context.SECRET_KEY,
        config=Config(read_timeout=960, retries={"total_max_attempts": 1}),
    )


def _reason(payload: str) -> str:
    try:
        error = json.loads(payload)
        return f"{error['errorType']}: {error['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return " ".join(payload.split())[:500]
