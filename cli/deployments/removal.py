"""Removes a deployment: what CloudFormation does not know, then the stack, then the data when that is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from cli.deployments import running_runs
from cli.deployments.inventory import Bucket, Inventory
from cli.errors import CommandError, one_line
from cli.target import Target
from usher.errors import code

Report = Callable[[str], None]

#: S3's and SageMaker's own limits: objects in one deletion; an endpoint in these states cannot be deleted.
_BATCH_KEYS = 1000
_BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack")


def remove(target: Target, found: Inventory, report: Report, *, data: bool, seconds: float) -> None:
    """Remove the deployment. data: also buckets, state table and the endpoint's logs. seconds: to wait for the stack.

    Raises CommandError when the endpoint is busy or the stack cannot be deleted; running it again continues.
    """
    name, status = found.endpoint
    if status in _BUSY:
        raise CommandError(
            f"endpoint {name} is {status}, and SageMaker deletes it only after that: run this again later"
        )
    for run in running_runs.stop(target, found):
        report(f"stopped {run}")
    _remove_from_sagemaker(target, found, report)
    _delete_stack(target, seconds)
    report(f"deleted stack {found.stack_name}")
    if data:
        _remove_data(target, found, report)


def _remove_from_sagemaker(target: Target, found: Inventory, report: Report) -> None:
    sagemaker = target.client("sagemaker")
    if found.endpoint[0] and found.endpoint[1] != "Deleting":
        _tolerate_missing(lambda: sagemaker.delete_endpoint(EndpointName=found.endpoint[0]))
        report(f"deleted endpoint {found.endpoint[0]}")
    for name in found.configs:
        _tolerate_missing(lambda name=name: sagemaker.delete_endpoint_config(EndpointConfigName=name))  # type: ignore[misc]
    for name in found.models:
        _tolerate_missing(lambda name=name: sagemaker.delete_model(ModelName=name))  # type: ignore[misc]
    for name in found.packages:
        _tolerate_missing(lambda name=name: sagemaker.delete_model_package(ModelPackageName=name))  # type: ignore[misc]
    counts = {"endpoint configs": found.configs, "models": found.models, "model packages": found.packages}
    for kind, names in counts.items():
        if names:
            report(f"deleted {kind}: {len(names)}")


def _delete_stack(target: Target, seconds: float) -> None:
    cloudformation = target.client("cloudformation")
    stack_id = cloudformation.describe_stacks(StackName=target.stack_name)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=stack_id)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stack = _described(cloudformation, stack_id)
        if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
            return
        if stack["StackStatus"] == "DELETE_FAILED":
            why = "; ".join(_failures(cloudformation, stack_id)) or one_line(stack.get("StackStatusReason", ""))
            raise CommandError(f"stack {target.stack_name} cannot be deleted ({why}): fix that and run this again")
        time.sleep(0.2 if target.endpoint else 3.0)
    raise CommandError(f"stack {target.stack_name} is still being deleted after {seconds:g} s: run this again later")


def _described(cloudformation: Any, stack_id: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]
    except ClientError as error:
        if code(error) == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    return found


def _failures(cloudformation: Any, stack_id: str) -> Iterator[str]:
    for one in cloudformation.list_stack_resources(StackName=stack_id)["StackResourceSummaries"]:
        if one["ResourceStatus"] == "DELETE_FAILED":
            yield f"{one['LogicalResourceId']}: {one_line(one.get('ResourceStatusReason', ''))}"


def _remove_data(target: Target, found: Inventory, report: Report) -> None:
    for bucket in found.buckets:
        empty(target.client("s3"), bucket)
        target.client("s3").delete_bucket(Bucket=bucket.name)
        report(f"deleted bucket {bucket.name}")
    if found.table is not None:
        target.client("dynamodb").delete_table(TableName=found.table.name)
        report(f"deleted table {found.table.name}")
    for group in found.log_groups:
        target.client("logs").delete_log_group(logGroupName=group)
        report(f"deleted log group {group}")


def empty(s3: Any, bucket: Bucket) -> None:
    """Delete every version of every object, delete markers, and parts of unfinished uploads."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket.name):
        listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in listed]
        for start in range(0, len(keys), _BATCH_KEYS):
            batch = {"Objects": keys[start : start + _BATCH_KEYS], "Quiet": True}
            errors = s3.delete_objects(Bucket=bucket.name, Delete=batch).get("Errors", [])
            if errors:
                first = errors[0]
                raise CommandError(
                    f"s3://{bucket.name}/{first['Key']} cannot be deleted ({first['Code']}: {first['Message']}): "
                    "allow s3:DeleteObject and s3:DeleteObjectVersion, and run this again"
                )
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket.name):
        for one in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket.name, Key=one["Key"], UploadId=one["UploadId"])


def _tolerate_missing(call: Callable[[], object]) -> None:
    """Delete something in SageMaker; what is gone already is no error."""
    try:
        call()
    except ClientError as error:
        if code(error) not in ("ValidationException", "ResourceNotFound") or "in use" in str(error):
            raise
        if not any(words in str(error) for words in ("Could not find", "does not exist", "not exist")):
            raise
