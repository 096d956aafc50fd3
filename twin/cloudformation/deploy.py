"""Deploys the application's template on the running twin, through the same API that `sam deploy` uses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from twin import context
from twin.cloudformation import template as templates
from twin.cloudformation.errors import StackError, TemplateError
from twin.cloudformation.kinds.awslambda import code_bucket
from twin.cloudformation.package import package

POLL_SECONDS = 0.1

Tell = Callable[[str], None]


def read(path: Path) -> templates.Template:
    """The template at `path`; TemplateError when there is none, or it is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateError(f"{path}: {error.strerror}; run this in Usher's folder, or name the template") from error
    except UnicodeDecodeError as error:
        raise TemplateError(f"{path} is not UTF-8 text") from error
    try:
        return templates.parse(text)
    except TemplateError as error:
        raise TemplateError(f"{path}: {error}") from error


def deploy(path: Path, stack_name: str, parameters: Mapping[str, str], tell: Tell) -> dict[str, str]:
    """Deploy the template at `path` as a new stack; its outputs. StackError names the resource that failed, and why."""
    packed = package(read(path), path.parent, _put)
    body = json.dumps(packed).encode()
    url = f"{context.current().endpoint}/{_put('template.json', body)}/template.json"
    client = context.client("cloudformation")
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    capabilities = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    try:
        client.create_stack(StackName=stack_name, TemplateURL=url, Parameters=given, Capabilities=capabilities)
    except ClientError as error:
        raise StackError(error.response["Error"]["Message"]) from error
    return _wait(client, stack_name, tell)


def _put(key: str, data: bytes) -> str:
    bucket = code_bucket()
    context.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
    return bucket


def _wait(client: Any, stack_name: str, tell: Tell) -> dict[str, str]:
    seen: set[str] = set()
    failures: list[str] = []
    while True:
        stack = client.describe_stacks(StackName=stack_name)["Stacks"][0]
        for event in _new_events(client, stack_name, seen):
            if event["ResourceStatus"] == "CREATE_COMPLETE" and event["LogicalResourceId"] != stack_name:
                tell(f"{event['LogicalResourceId']} ({event['ResourceType']})")
            elif event["ResourceStatus"].endswith("FAILED"):
                failures.append(event.get("ResourceStatusReason", event["LogicalResourceId"]))
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(POLL_SECONDS)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        reason = failures[0] if failures else stack.get("StackStatusReason", "no reason given")
        raise StackError(f"stack {stack_name} ended in {stack['StackStatus']}: {reason}")
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _new_events(client: Any, stack_name: str, seen: set[str]) -> Iterator[dict[str, Any]]:
    for event in reversed(client.describe_stack_events(StackName=stack_name)["StackEvents"]):
        if event["EventId"] not in seen:
            seen.add(event["EventId"])
            yield event
