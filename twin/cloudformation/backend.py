"""Replacements in moto's CloudFormation API: stacks are created, updated and deleted by the twin's engine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import unquote, urlparse

from moto.cloudformation import models as moto
from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.utils import generate_changeset_id, generate_stack_id, validate_create_change_set
from moto.core.responses import ActionResult

from twin import context
from twin.cloudformation import template as templates
from twin.cloudformation.errors import StackError
from twin.cloudformation.stack import ChangeSet, Plan, Stack
from twin.moto_patches.registry import original

CREATE_CHANGE_SET = "moto.cloudformation.responses:CloudFormationResponse.create_change_set"
NOTHING_TO_DO = "No updates are to be performed."

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _refusing(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """A stack that cannot be deployed is the caller's error: HTTP 400, ValidationError."""

    @functools.wraps(method)
    def refuse(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return method(*args, **kwargs)
        except StackError as error:
            raise ValidationError(message=str(error)) from error

    return refuse


class CloudFormationBackend(moto.CloudFormationBackend):
    """One region's stacks; only the twin's own region can hold any."""

    @_refusing
    def create_stack(  # noqa: PLR0913, PLR0917 - moto's signature
        self,
        name: str,
        template: str,
        parameters: dict[str, Any],
        notification_arns: list[str] | None = None,
        tags: dict[str, str] | None = None,
        role_arn: str | None = None,
        enable_termination_protection: bool | None = False,
        timeout_in_mins: int | None = None,
        stack_policy_body: str | None = None,
    ) -> Stack:
        _refuse_unsupported(
            NotificationARNs=notification_arns,
            RoleARN=role_arn,
            EnableTerminationProtection=enable_termination_protection,
            TimeoutInMinutes=timeout_in_mins,
            StackPolicyBody=stack_policy_body,
        )
        if self._named(name) is not None:
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        stack = self._new_stack(name, tags)
        plan = Plan(stack, template, parameters)
        self.stacks[stack.stack_id] = stack
        stack.start_creating(plan)
        return stack

    @_refusing
    def update_stack(
        self,
        name: str,
        template: str,
        role_arn: str | None,
        parameters: list[dict[str, Any]],
        tags: dict[str, str] | None,
    ) -> Stack:
        _refuse_unsupported(RoleARN=role_arn)
        stack = cast("Stack", self.get_stack(name))
        plan = Plan(stack, template, _given(stack, parameters))
        if ChangeSet("", "", "UPDATE", stack, plan).status == "FAILED":
            raise ValidationError(message=NOTHING_TO_DO)
        stack.tags = stack.tags if tags is None else tags
        stack.start_updating(plan)
        return stack

    @_refusing
    def create_change_set(  # noqa: PLR0913, PLR0917 - moto's signature
        self,
        stack_name: str,
        change_set_name: str,
        template: str,
        parameters: dict[str, str],
        description: str,
        change_set_type: str,
        notification_arns: list[str] | None = None,
        tags: dict[str, str] | None = None,
        role_arn: str | None = None,
    ) -> tuple[str, str]:
        _refuse_unsupported(NotificationARNs=notification_arns, RoleARN=role_arn)
        validate_create_change_set(change_set_name)
        stack = self._stack_for(stack_name, change_set_type, tags)
        plan = Plan(stack, template, parameters)
        change_set_id = generate_changeset_id(change_set_name, self.region_name, self.account_id)
        self.change_sets[change_set_id] = ChangeSet(
            change_set_id, change_set_name, change_set_type, stack, plan, description or "", tags
        )
        if stack.stack_id not in self.stacks:
            self.stacks[stack.stack_id] = stack
            stack.review()
        return change_set_id, stack.stack_id

    @_refusing
    def execute_change_set(self, change_set_name: str, stack_name: str | None = None) -> None:  # noqa: ARG002 - moto's
        change_set = cast("ChangeSet", self.describe_change_set(change_set_name))
        if change_set.execution_status != "AVAILABLE":
            raise ValidationError(message=f"ChangeSet [{change_set_name}] cannot be executed in its current state")
        change_set.execution_status = "EXECUTE_COMPLETE"
        stack = change_set.of
        if change_set.tags:
            stack.tags = change_set.tags
        if change_set.change_set_type == "CREATE":
            stack.start_creating(change_set.plan, importing=change_set.importing)
        else:
            stack.start_updating(change_set.plan)

    @_refusing
    def delete_stack(self, name_or_stack_id: str) -> None:
        stack = cast("Stack | None", self.stacks.get(name_or_stack_id)) or self._named(name_or_stack_id)
        if stack is None or stack.status.startswith("DELETE_IN_PROGRESS"):
            return  # as on AWS, deleting a stack that does not exist succeeds

        def forget() -> None:
            self.deleted_stacks[stack.stack_id] = stack
            self.stacks.pop(stack.stack_id, None)

        stack.start_deleting(forget)

    def validate_template(self, template: str) -> list[Any]:
        """Nothing when the template can be read; its contents are checked when a stack is created."""
        _refusing(templates.parse)(template)
        return []

    def _named(self, name: str) -> Stack | None:
        found = (stack for stack in self.stacks.values() if stack.name == name)
        return cast("Stack | None", next(found, None))

    def _new_stack(self, name: str, tags: dict[str, str] | None) -> Stack:
        home = context.current().region
        if self.region_name != home:
            raise StackError(f"this twin is in {home}; a stack in {self.region_name} is not possible")
        stack_id = generate_stack_id(name, self.region_name, self.account_id)
        return Stack(stack_id, name, self.account_id, self.region_name, tags)

    def _stack_for(self, name: str, change_set_type: str, tags: dict[str, str] | None) -> Stack:
        existing = self._named(name)
        if change_set_type == "UPDATE":
            if existing is None:
                raise ValidationError(name)
            return existing
        if change_set_type != "CREATE":
            raise StackError(f"change sets of type {change_set_type} are not supported by the twin")
        if existing is not None and existing.status != "REVIEW_IN_PROGRESS":
            raise AlreadyExistsException(f"Stack [{name}] already exists and cannot be created again")
        return existing or self._new_stack(name, tags)


# moto finds a service's URLs by the module of its backend's class.
CloudFormationBackend.__module__ = moto.CloudFormationBackend.__module__


def _refuse_unsupported(**settings: Any) -> None:
    if unsupported := [name for name, value in settings.items() if value]:
        raise StackError(f"{unsupported[0]} is not supported by the twin")


def _given(stack: Stack, parameters: list[dict[str, Any]]) -> dict[str, str]:
    """Parameter values of an update: given, or the previous ones where the caller wants them (UsePreviousValue)."""
    result = {}
    for parameter in parameters or []:
        key = parameter["ParameterKey"]
        if "ParameterValue" in parameter:
            result[key] = parameter["ParameterValue"]
        elif key in stack.stack_parameters:
            result[key] = stack.stack_parameters[key]
    return result


def create_change_set(self: Any) -> ActionResult:
    """The API's CreateChangeSet with ImportExistingResources, which moto drops."""
    answer = cast("ActionResult", original(CREATE_CHANGE_SET)(self))
    if self._get_bool_param("ImportExistingResources", False):
        change_set = self.cloudformation_backend.change_sets[answer.result["Id"]]  # type: ignore[index]
        if change_set.change_set_type != "CREATE":
            raise ValidationError(message="the twin imports existing resources only into a new stack")
        change_set.importing = True
    return answer


def template_at(self: Any, template_url: str) -> str:  # noqa: ARG001 - a method of moto's response class
    """The template at an S3 URL with the bucket in its path, as for the twin's endpoint, or in its host name."""
    parts = urlparse(template_url)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    if parts.netloc.split(".")[1:2] == ["s3"]:  # <bucket>.s3.<region>.amazonaws.com/<key>
        bucket, key = parts.netloc.split(".")[0], unquote(parts.path).lstrip("/")
    client = context.client("s3")
    try:
        body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read(templates.MAX_BYTES + 1)
    except client.exceptions.ClientError as error:
        raise ValidationError(message=f"S3 error: {template_url} cannot be read: upload the template first") from error
    return body.decode()


def summary(template_body: str) -> dict[str, Any]:
    """The response to GetTemplateSummary; moto's reads the template with a YAML loader that can run code."""
    template = _refusing(templates.parse)(template_body)
    return {
        "Description": template.get("Description"),
        "Metadata": None,
        "Parameters": [_described(name, declared) for name, declared in template.get("Parameters", {}).items()],
        "ResourceTypes": sorted({resource["Type"] for resource in template["Resources"].values()}),
        "Version": template.get("AWSTemplateFormatVersion"),
        "DeclaredTransforms": _transforms(template),
        "Capabilities": ["CAPABILITY_NAMED_IAM"] if _transforms(template) else [],
    }


def validate_template(self: Any) -> ActionResult:
    """The response to ValidateTemplate, for the same reason."""
    text = self._get_param("TemplateBody") or self._get_stack_from_s3_url(self._get_param("TemplateURL"))
    found = summary(text)
    keys = ("Description", "Parameters", "Capabilities", "DeclaredTransforms")
    return ActionResult({key: found[key] for key in keys})


def list_stack_resources(self: Any) -> ActionResult:
    """The response to ListStackResources; moto gives CREATE_COMPLETE for every resource."""
    _, resources = self.cloudformation_backend.list_stack_resources(self._get_param("StackName"))
    return ActionResult(
        {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": resource.logical_id,
                    "PhysicalResourceId": resource.physical_id,
                    "ResourceType": resource.type,
                    "ResourceStatus": resource.status,
                    "ResourceStatusReason": resource.status_reason,
                    "LastUpdatedTimestamp": resource.changed_at,
                }
                for resource in resources
            ]
        }
    )


class StackResource:
    """The response to DescribeStackResource(s) for one resource; moto gives each the status of the stack."""

    def __init__(self, stack: Stack, resource: Any) -> None:
        self.stack_id, self.stack_name = stack.stack_id, stack.name
        self.logical_resource_id, self.physical_resource_id = resource.logical_id, resource.physical_id
        self.resource_type, self.resource_status = resource.type, resource.status
        self.resource_status_reason = resource.status_reason
        self.timestamp = self.last_updated_timestamp = resource.changed_at


def _described(name: str, declared: dict[str, Any]) -> dict[str, Any]:
    default = declared.get("Default")
    return {
        "ParameterKey": name,
        "Description": declared.get("Description", ""),
        "DefaultValue": None if default is None else str(default),
        "NoEcho": False,
        "ParameterType": declared.get("Type", "String"),
        "ParameterConstraints": {"AllowedValues": [str(value) for value in declared.get("AllowedValues", [])]},
    }


def _transforms(template: dict[str, Any]) -> list[str]:
    transforms = template.get("Transform", [])
    return [transforms] if isinstance(transforms, str) else list(transforms)
