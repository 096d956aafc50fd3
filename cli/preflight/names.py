"""The names that a stack gives its resources, held against AWS's patterns and lengths from botocore's models."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session

from cli.preflight.findings import Finding

CHECK = "names"
STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")

#: Resource type → property with its name, and the service and shape that constrain it.
_RULES = {
    "AWS::Athena::WorkGroup": ("Name", "athena", "WorkGroupName"),
    "AWS::CloudWatch::Alarm": ("AlarmName", "cloudwatch", "AlarmName"),
    "AWS::CodeBuild::Project": ("Name", "codebuild", "ProjectName"),
    "AWS::ECR::Repository": ("RepositoryName", "ecr", "RepositoryName"),
    "AWS::Events::Rule": ("Name", "events", "RuleName"),
    "AWS::KinesisFirehose::DeliveryStream": ("DeliveryStreamName", "firehose", "DeliveryStreamName"),
    "AWS::SageMaker::ModelPackageGroup": ("ModelPackageGroupName", "sagemaker", "EntityName"),
    "AWS::Serverless::StateMachine": ("Name", "stepfunctions", "Name"),
}
#: SageMaker writes names in ARNs in lower case, and a policy that names them as they were given does not match.
_LOWERED = {"AWS::SageMaker::ModelPackageGroup"}


def check_names(template: Mapping[str, Any], values: Mapping[str, str], stack_name: str) -> Iterator[Finding]:
    """The stack's name and each derived name that AWS would refuse. values: of all parameters."""
    if not STACK_NAME.fullmatch(stack_name):
        words = "a letter, then letters, digits and hyphens, at most 128 characters"
        yield Finding(CHECK, "refused", f"{stack_name!r} is not a stack name: {words}", "give another --stack-name")
        return
    scope = {**values, "AWS::StackName": stack_name}
    names = list(_names(template, scope))
    faults = [fault for kind, name in names for fault in _faults(kind, name, stack_name)]
    yield from faults
    if not faults:
        yield Finding(CHECK, "fine", f"{len(names)} names from stack {stack_name} and the parameters")


def _names(template: Mapping[str, Any], scope: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Type and name of each resource that the template names itself."""
    for resource in template["Resources"].values():
        if resource["Type"] in _RULES:
            value = resource.get("Properties", {}).get(_RULES[resource["Type"]][0])
            name = resolve(value, scope)
            if name is not None:
                yield resource["Type"], name


def resolve(value: Any, scope: Mapping[str, str]) -> str | None:
    """A string or number, Ref or Fn::Sub of parameters; None for what only the deployed stack knows."""
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, Mapping):
        if "Ref" in value:
            return scope.get(value["Ref"])
        if isinstance(value.get("Fn::Sub"), str):
            text = value["Fn::Sub"]
            if set(re.findall(r"\$\{([\w:.]+)\}", text)) <= scope.keys():
                return re.sub(r"\$\{([\w:.]+)\}", lambda match: scope[match[1]], text)
    return None


def _faults(kind: str, name: str, stack_name: str) -> Iterator[Finding]:
    _, service, shape = _RULES[kind]
    rule = _rule(service, shape)
    remedy = "give another --stack-name" if stack_name in name else "change DatabaseName or EndpointName"
    if len(name) > rule.get("max", 10_000):
        detail = f"{kind} {name!r} has {len(name)} characters, {rule['max']} are allowed"
        yield Finding(CHECK, "refused", detail, remedy.replace("another", "a shorter"))
    elif "pattern" in rule and not re.fullmatch(rule["pattern"], name):
        yield Finding(CHECK, "refused", f"{kind} {name!r} does not match {rule['pattern']}", remedy)
    elif kind in _LOWERED and name != name.lower():
        detail = f"{kind} {name!r} has capitals: SageMaker lowers them in ARNs, and the roles' policies would not match"
        yield Finding(CHECK, "refused", detail, "write EndpointName in lower case")


@functools.cache
def _rule(service: str, shape: str) -> Mapping[str, Any]:
    rule: Mapping[str, Any] = botocore.session.get_session().get_service_model(service).shape_for(shape).metadata
    return rule
