"""Custom resources: the template's own Lambda makes them, and answers through a URL that it is given."""

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
from twin.cloudformation.kinds.base import Existing, Made, Order
from twin.cloudformation.kinds.base import Properties as Given

DEFAULT_TIMEOUT_SECONDS = 3600
ATTEMPTS = 3
"""CloudFormation invokes asynchronously: a function that fails is tried twice more."""
POLL_SECONDS = 0.05
MAX_ANSWER_BYTES = 4096
"""What CloudFormation takes as an answer."""


class Custom:
    """AWS::CloudFormation::CustomResource and Custom::…

    Seconds are real seconds here, whatever the twin's speed: a real function does real work. CloudFormation waits for
    the answer until the timeout; the twin gives up once the function has failed three times.
    """

    type = "AWS::CloudFormation::CustomResource"

    def create(self, order: Order) -> Made:
        return _ask("Create", order, {})

    def update(self, order: Order, existing: Existing) -> Made:
        extra = {"PhysicalResourceId": existing.physical_id, "OldResourceProperties": _as_text(existing.properties)}
        return _ask("Update", order, extra)

    def delete(self, existing: Existing) -> None:
        stack_id = str(getattr(existing, "stack_id", ""))
        kind = str(getattr(existing, "type", self.type))
        order = Order(
            stack_id.split("/")[1] if "/" in stack_id else "", stack_id, existing.logical_id, kind, existing.properties
        )
        _ask("Delete", order, {"PhysicalResourceId": existing.physical_id})


def _ask(request_type: str, order: Order, extra: Given) -> Made:
    token = order.properties.get("ServiceToken")
    if not isinstance(token, str) or ":function:" not in token:
        raise ResourceError(f"{order.logical_id} ({order.type}): ServiceToken must be the ARN of a Lambda function")
    bucket, key = _mailbox(), f"{uuid.uuid4()}.json"
    event = {
        "RequestType": request_type,
        "ServiceToken": token,
        "ResponseURL": context.client("s3").generate_presigned_url("put_object", {"Bucket": bucket, "Key": key}),
        "StackId": order.stack_id,
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": order.logical_id,
        "ResourceType": order.type,
        "ResourceProperties": _as_text(order.properties),
        **extra,
    }
    deadline = time.monotonic() + float(order.properties.get("ServiceTimeout", DEFAULT_TIMEOUT_SECONDS))
    _invoke(token, event, bucket, key, order)
    return _judge(_answer(bucket, key, deadline, order), order, str(extra.get("PhysicalResourceId", "")))


def _invoke(function: str, event: dict[str, Any], bucket: str, key: str, order: Order) -> None:
    client = _patient_client()
    where = f"{order.logical_id} ({order.type})"
    failure = ""
    for _ in range(ATTEMPTS):
        try:
            answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        except ClientError as error:
            raise ResourceError(f"{where}: {error.response['Error']['Message']}") from error
        if "FunctionError" not in answer or _fetch(bucket, key) is not None:
            return
        failure = answer["Payload"].read().decode(errors="replace")
    raise ResourceError(f"{where}: its function failed without an answer: {_reason(failure)}")


def _answer(bucket: str, key: str, deadline: float, order: Order) -> dict[str, Any]:
    where = f"{order.logical_id} ({order.type})"
    while (body := _fetch(bucket, key)) is None:
        if time.monotonic() > deadline:
            raise ResourceError(f"{where}: its function did not answer in time; set ServiceTimeout or see its log")
        time.sleep(POLL_SECONDS)
    context.client("s3").delete_object(Bucket=bucket, Key=key)
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise ResourceError(f"{where}: its function's answer is not JSON") from error
    if len(body) > MAX_ANSWER_BYTES:
        raise ResourceError(f"{where}: its function's answer has {len(body):,} bytes; {MAX_ANSWER_BYTES:,} are allowed")
    if not isinstance(answer, dict):
        raise ResourceError(f"{where}: its function's answer is not an object")
    return answer


def _judge(answer: dict[str, Any], order: Order, known_id: str) -> Made:
    where = f"{order.logical_id} ({order.type})"
    if answer.get("Status") != "SUCCESS":
        raise ResourceError(f"{where}: {answer.get('Reason') or 'its function answered FAILED and gave no Reason'}")
    physical_id = answer.get("PhysicalResourceId") or known_id
    if not physical_id:
        raise ResourceError(f"{where}: its function's answer has no PhysicalResourceId")
    return Made(str(physical_id), dict(answer.get("Data") or {}))


def _as_text(value: Any) -> Any:
    """CloudFormation hands every scalar on as text."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _fetch(bucket: str, key: str) -> bytes | None:
    try:
        body: bytes = context.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError:
        return None
    return body


def _mailbox() -> str:
    """The bucket that functions answer into; it bears the name that AWS's own once had."""
    region = context.current().region
    bucket, client = f"cloudformation-custom-resource-response-{region.replace('-', '')}", context.client("s3")
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        client.create_bucket(Bucket=bucket, **place)
    except client.exceptions.BucketAlreadyOwnedByYou:
        return bucket
    return bucket


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
