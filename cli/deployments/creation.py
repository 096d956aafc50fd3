"""Creates a stack from the built template: its code in a bucket, a change set, and the wait for its end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli.deployments.removal import Report
from cli.errors import CommandError, one_line
from cli.target import Target
from twin.cloudformation import deploy
from twin.cloudformation.errors import TemplateError

#: Where the packaged code lies in the bucket until CloudFormation has read it.
PREFIX = "deploy/"


def create(  # noqa: PLR0913 - what a stack is made of
    target: Target,
    template: Path,
    bucket: str,
    parameters: Mapping[str, str],
    report: Report,
    *,
    seconds: float,
    import_existing: bool = False,
) -> dict[str, str]:
    """Create the target's stack from the built template; its outputs.

    bucket: takes the code under PREFIX until the stack is created. seconds: to wait for the stack. import_existing:
    resources whose names the parameters give are taken over. Raises CommandError when the stack cannot be created.
    """
    s3, keys = target.client("s3"), []

    def put(key: str, data: bytes) -> str:
        keys.append(f"{PREFIX}{key}")
        s3.put_object(Bucket=bucket, Key=keys[-1], Body=data)
        return bucket

    try:
        packed = _packed(template, put)
        put("template.json", json.dumps(packed).encode())
        end = time.monotonic() + seconds
        change_set = _change_set(target, _url(target, bucket), parameters, end, import_existing=import_existing)
        report(f"creating stack {target.stack_name}")
        target.client("cloudformation").execute_change_set(ChangeSetName=change_set)
        return _wait(target, end)
    except TemplateError as error:
        raise CommandError(f"{error}: run `make build` first") from error
    finally:
        for key in keys:
            s3.delete_object(Bucket=bucket, Key=key)


def _packed(template: Path, put: deploy.Put) -> dict[str, Any]:
    """The template with its code in the bucket, under PREFIX."""
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


def _change_set(target: Target, url: str, parameters: Mapping[str, str], end: float, *, import_existing: bool) -> str:
    """The id of a complete change set. end: on the monotonic clock."""
    cloudformation = target.client("cloudformation")
    try:
        made = str(
            cloudformation.create_change_set(
                StackName=target.stack_name,
                ChangeSetName="create",
                ChangeSetType="CREATE",
                TemplateURL=url,
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
                ImportExistingResources=import_existing,
            )["Id"]
        )
    except ClientError as error:
        raise CommandError(f"the stack is refused: {one_line(error.response['Error']['Message'])}") from error
    while (found := cloudformation.describe_change_set(ChangeSetName=made))["Status"] != "CREATE_COMPLETE":
        if found["Status"] == "FAILED" or time.monotonic() > end:
            reason = one_line(found.get("StatusReason", ""))
            raise CommandError(f"the change set of stack {target.stack_name} is {found['Status']}: {reason}")
        _pause(target)
    return made


def _wait(target: Target, end: float) -> dict[str, str]:
    cloudformation = target.client("cloudformation")
    while True:
        stack = cloudformation.describe_stacks(StackName=target.stack_name)["Stacks"][0]
        status = stack["StackStatus"]
        if status == "CREATE_COMPLETE":
            return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        if not status.endswith("_IN_PROGRESS") or time.monotonic() > end:
            reason = one_line(stack.get("StackStatusReason", "the stack's events say why"))
            raise CommandError(f"stack {target.stack_name} is {status}: {reason}; data that it adopts is unchanged")
        _pause(target)


def _pause(target: Target) -> None:
    time.sleep(0.2 if target.endpoint else 3.0)
