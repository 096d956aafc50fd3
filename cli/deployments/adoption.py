"""Deploys a new stack that takes over kept buckets and a kept state table: a change set with ImportExistingResources.

`sam deploy` cannot import resources. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli.deployments.removal import Report
from cli.errors import CommandError, one_line
from cli.target import Target
from twin.cloudformation import deploy
from twin.cloudformation.errors import TemplateError
from usher.errors import code

#: Where the packaged code lies in the lake bucket until CloudFormation has read it.
PREFIX = "deploy/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The names of what a removed stack has kept."""

    landing_bucket: str
    lake_bucket: str
    state_table: str

    def parameters(self) -> dict[str, str]:
        """The template's parameters that name them."""
        return {
            "LandingBucketName": self.landing_bucket,
            "LakeBucketName": self.lake_bucket,
            "StateTableName": self.state_table,
        }


def adopt(  # noqa: PLR0913 - the options of the command
    target: Target, template: Path, kept: Kept, parameters: Mapping[str, str], report: Report, *, seconds: float
) -> dict[str, str]:
    """Deploy the built template as a new stack on the kept data; its outputs. seconds: to wait for it.

    Raises CommandError when the stack exists, something kept does not, or the stack cannot be created.
    """
    _check_absent(target)
    _check_kept(target, kept)
    s3, keys = target.client("s3"), []

    def put(key: str, data: bytes) -> str:
        keys.append(f"{PREFIX}{key}")
        s3.put_object(Bucket=kept.lake_bucket, Key=keys[-1], Body=data)
        return f"{kept.lake_bucket}"

    try:
        packed = _packed(template, put)
        put("template.json", json.dumps(packed).encode())
        outputs = _create(target, _url(target, kept.lake_bucket), {**parameters, **kept.parameters()}, report, seconds)
    except TemplateError as error:
        raise CommandError(f"{error}: run `make build` first") from error
    finally:
        for key in keys:
            s3.delete_object(Bucket=kept.lake_bucket, Key=key)
    return outputs


def _packed(template: Path, put: deploy.Put) -> dict[str, Any]:
    """The template with its code in the lake bucket, under PREFIX."""
    packed = deploy.package(deploy.read(template), template.parent, put)
    for resource in packed["Resources"].values():
        properties = resource.get("Properties", {})
        for name in ("CodeUri", "ContentUri"):
            uri = properties.get(name)
            if isinstance(uri, str) and uri.startswith("s3://"):
                bucket, _, key = uri.removeprefix("s3://").partition("/")
                properties[name] = f"s3://{bucket}/{PREFIX}{key}"
        if isinstance(properties.get("DefinitionUri"), dict):
            properties["DefinitionUri"]["Key"] = PREFIX + properties["DefinitionUri"]["Key"]
    return packed


def _url(target: Target, bucket: str) -> str:
    """The template's address as CloudFormation takes it."""
    region = target.session.region_name
    host = f"{target.endpoint}/{bucket}" if target.endpoint else f"https://{bucket}.s3.{region}.amazonaws.com"
    return f"{host}/{PREFIX}template.json"


def _check_absent(target: Target) -> None:
    try:
        stack = target.client("cloudformation").describe_stacks(StackName=target.stack_name)["Stacks"][0]
    except ClientError as error:
        if code(error) == "ValidationError":
            return
        raise
    raise CommandError(
        f"stack {target.stack_name} exists ({stack['StackStatus']}), and only a new stack adopts data: "
        "give another --stack-name, or remove this one with `usher remove`"
    )


def _check_kept(target: Target, kept: Kept) -> None:
    try:
        for bucket in (kept.landing_bucket, kept.lake_bucket):
            target.client("s3").head_bucket(Bucket=bucket)
        target.client("dynamodb").describe_table(TableName=kept.state_table)
    except ClientError as error:
        named = {"HeadBucket": f"bucket {bucket}", "DescribeTable": f"table {kept.state_table}"}
        what = named.get(error.operation_name, error.operation_name)
        raise CommandError(
            f"{what} cannot be adopted ({code(error)}): check the name, the region and your permissions; "
            "`usher remove` has printed the names"
        ) from error


def _create(target: Target, url: str, parameters: Mapping[str, str], report: Report, seconds: float) -> dict[str, str]:
    cloudformation, end = target.client("cloudformation"), time.monotonic() + seconds
    try:
        made = cloudformation.create_change_set(
            StackName=target.stack_name,
            ChangeSetName="adopt",
            ChangeSetType="CREATE",
            TemplateURL=url,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            ImportExistingResources=True,
        )["Id"]
    except ClientError as error:
        raise CommandError(f"the stack is refused: {one_line(error.response['Error']['Message'])}") from error
    while (found := cloudformation.describe_change_set(ChangeSetName=made))["Status"] != "CREATE_COMPLETE":
        if found["Status"] == "FAILED" or time.monotonic() > end:
            reason = one_line(found.get("StatusReason", ""))
            raise CommandError(f"the change set of stack {target.stack_name} is {found['Status']}: {reason}")
        _pause(target)
    report(f"creating stack {target.stack_name}")
    cloudformation.execute_change_set(ChangeSetName=made)
    return _wait(target, end)


def _wait(target: Target, end: float) -> dict[str, str]:
    cloudformation = target.client("cloudformation")
    while True:
        stack = cloudformation.describe_stacks(StackName=target.stack_name)["Stacks"][0]
        status = stack["StackStatus"]
        if status == "CREATE_COMPLETE":
            return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        if not status.endswith("_IN_PROGRESS") or time.monotonic() > end:
            reason = one_line(stack.get("StackStatusReason", "the stack's events say why"))
            raise CommandError(f"stack {target.stack_name} is {status}: {reason}; the kept data is unchanged")
        _pause(target)


def _pause(target: Target) -> None:
    time.sleep(0.2 if target.endpoint else 3.0)
