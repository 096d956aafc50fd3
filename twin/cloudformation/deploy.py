"""Packs the application's local folders, as `sam package` does, and deploys its template by CloudFormation's API."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from twin import context
from twin.cloudformation import template as templates
from twin.cloudformation.errors import StackError, TemplateError
from twin.cloudformation.template import Template

POLL_SECONDS = 0.1
MAX_BYTES = 262_144_000
"""Lambda's limit, unzipped."""

Report = Callable[[str], None]
Put = Callable[[str, bytes], str]
"""Stores bytes under a key; returns the bucket's name."""

_FOLDERS = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
_FILES = {"AWS::Serverless::StateMachine": "DefinitionUri"}
_UNWANTED = frozenset(("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".git", ".DS_Store"))


def read(path: Path) -> Template:
    """The template at `path`; TemplateError when it does not exist, or is not a template."""
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


def deploy(path: Path, stack_name: str, parameters: Mapping[str, str], report: Report) -> dict[str, str]:
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
    return _wait(client, stack_name, report)


def package(template: Template, folder: Path, put: Put) -> Template:
    """A copy of `template` whose local paths, relative to `folder`, are in a bucket; TemplateError for a bad path."""
    result = copy.deepcopy(template)
    if isinstance(result.get("Globals", {}).get("Function", {}).get("CodeUri"), str):
        raise TemplateError("Globals.Function.CodeUri: give each function its own CodeUri")
    for logical_id, resource in result["Resources"].items():
        kind, properties = resource["Type"], resource.setdefault("Properties", {})
        if (name := _FOLDERS.get(kind)) and _is_local(properties.get(name)):
            data = archive(folder / properties[name], f"{logical_id}: {name} {properties[name]}")
            bucket, key = _stored(data, ".zip", put)
            properties[name] = f"s3://{bucket}/{key}"
        elif (name := _FILES.get(kind)) and _is_local(properties.get(name)):
            data = _file(folder / properties[name], f"{logical_id}: {name} {properties[name]}")
            bucket, key = _stored(data, Path(properties[name]).suffix, put)
            properties[name] = {"Bucket": bucket, "Key": key}
    return result


def archive(folder: Path, where: str) -> bytes:
    """`folder` as a zip whose bytes depend on names, contents and executable bits only."""
    if not folder.is_dir():
        raise TemplateError(f"{where} is not a folder; is the application there and built?")
    files = sorted(_files(folder), key=lambda path: path.relative_to(folder).as_posix())
    if not files:
        raise TemplateError(f"{where} is empty")
    if (size := sum(path.stat().st_size for path in files)) > MAX_BYTES:
        raise TemplateError(f"{where} has {size:,} bytes; Lambda takes {MAX_BYTES:,}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            packed.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _put(key: str, data: bytes) -> str:
    bucket = context.owned_bucket("usher-twin-artifacts")
    context.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
    return bucket


def _wait(client: Any, stack_name: str, report: Report) -> dict[str, str]:
    seen: set[str] = set()
    failures: list[str] = []
    while True:
        stack = client.describe_stacks(StackName=stack_name)["Stacks"][0]
        for event in _new_events(client, stack_name, seen):
            if event["ResourceStatus"] == "CREATE_COMPLETE" and event["LogicalResourceId"] != stack_name:
                report(f"{event['LogicalResourceId']} ({event['ResourceType']})")
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


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not _UNWANTED & set(path.relative_to(folder).parts) and path.suffix != ".pyc":
            yield path


def _file(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TemplateError(f"{where} cannot be read: {error.strerror}") from error


def _is_local(value: Any) -> bool:
    return isinstance(value, str) and not value.startswith(("s3://", "https://"))


def _stored(data: bytes, suffix: str, put: Put) -> tuple[str, str]:
    key = hashlib.sha256(data).hexdigest()[:32] + suffix
    return put(key, data), key
