"""Workflows, and what a run builds on: state machines, the model registry, the image's repository and its build."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from twin import context
from twin.cloudformation.errors import Replace, ResourceError
from twin.cloudformation.kinds.base import (
    ApiKind,
    Existing,
    Made,
    Order,
    arn,
    call,
    changed_properties,
    only_known,
    tolerate_missing,
)

_NAME = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
_KNOWN = frozenset(
    {
        *("Definition", "DefinitionString", "DefinitionS3Location", "DefinitionSubstitutions", "RoleArn"),
        *("StateMachineName", "StateMachineType", "LoggingConfiguration", "TracingConfiguration", "Tags"),
    }
)


class StateMachine:
    """AWS::StepFunctions::StateMachine; moto's own reads the inline definition alone, and nothing is substituted."""

    type = "AWS::StepFunctions::StateMachine"
    name = "StateMachineName"

    def create(self, order: Order) -> Made:
        only_known(order, _KNOWN)
        order = order.named(self.name, 80)
        parameters: dict[str, Any] = {
            "name": order.properties["StateMachineName"],
            "definition": definition(order),
            "roleArn": order.properties["RoleArn"],
            "type": order.properties.get("StateMachineType", "STANDARD"),
        }
        if "Tags" in order.properties:
            parameters["tags"] = [{"key": tag["Key"], "value": tag["Value"]} for tag in order.properties["Tags"]]
        made = call("stepfunctions", "create_state_machine", parameters, _where(order))["stateMachineArn"]
        return Made(
            made, {"Arn": made, "Name": order.properties["StateMachineName"], "StateMachineRevisionId": "INITIAL"}
        )

    def update(self, order: Order, existing: Existing) -> Made:
        only_known(order, _KNOWN)
        if changed_properties(order.properties, existing.properties) & {"StateMachineName", "StateMachineType"}:
            raise Replace
        parameters = {
            "stateMachineArn": existing.physical_id,
            "definition": definition(order),
            "roleArn": order.properties["RoleArn"],
        }
        call("stepfunctions", "update_state_machine", parameters, _where(order))
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        keys = {"stateMachineArn": existing.physical_id}
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("stepfunctions", "delete_state_machine", keys, where))


def definition(order: Order) -> str:
    """The definition with its substitutions made; ResourceError for one that is missing, or a name without a value."""
    found = [name for name in ("Definition", "DefinitionString", "DefinitionS3Location") if name in order.properties]
    if len(found) != 1:
        raise ResourceError(f"{_where(order)}: give exactly one of Definition, DefinitionString, DefinitionS3Location")
    value = order.properties[found[0]]
    text = _stored(value, order) if found[0] == "DefinitionS3Location" else value
    return substituted(text if isinstance(text, str) else json.dumps(text), order)


def substituted(text: str, order: Order) -> str:
    """`${name}` replaced as CloudFormation does, and a name that nobody gives refused."""
    values: Mapping[str, Any] = order.properties.get("DefinitionSubstitutions", {})
    missing = sorted(set(_NAME.findall(text)) - set(values))
    if missing:
        raise ResourceError(f"{_where(order)}: DefinitionSubstitutions has no {', '.join(missing)}")
    return _NAME.sub(lambda match: str(values[match[1]]), text)


def _stored(place: Mapping[str, str], order: Order) -> str:
    version = {"VersionId": place["Version"]} if "Version" in place else {}
    try:
        answer = context.client("s3").get_object(Bucket=place["Bucket"], Key=place["Key"], **version)
    except ClientError as error:
        raise ResourceError(
            f"{_where(order)}: s3://{place['Bucket']}/{place['Key']} cannot be read: {error}"
        ) from error
    return str(answer["Body"].read().decode())


def _where(order: Order) -> str:
    return f"{order.logical_id} ({order.type})"


def _project(properties: dict[str, Any]) -> dict[str, Any]:
    """CodeBuild's templates spell BuildSpec where its API says buildspec, and so on: the cast knows all but this."""
    source = dict(properties["Source"])
    if "BuildSpec" in source:
        source["buildspec"] = source.pop("BuildSpec")
    return {**properties, "Source": source}


KINDS = (
    StateMachine(),
    ApiKind(
        "AWS::SageMaker::ModelPackageGroup",
        "sagemaker",
        "create_model_package_group",
        delete_by="delete_model_package_group",
        ref=lambda _, answer: str(answer["ModelPackageGroupArn"]),
        attributes=lambda group, *_: {"ModelPackageGroupArn": group},
        identify=lambda _, properties: {"ModelPackageGroupName": properties["ModelPackageGroupName"]},
    ),
    ApiKind(
        "AWS::ECR::Repository",
        "ecr",
        "create_repository",
        delete_by="delete_repository",
        name="RepositoryName",
        name_lower=True,
        ref=lambda properties, _: str(properties["RepositoryName"]),
        attributes=lambda name, *_: {
            "Arn": arn("ecr", f"repository/{name}"),
            "RepositoryUri": f"{context.ACCOUNT}.dkr.ecr.{context.current().region}.amazonaws.com/{name}",
        },
        identify=lambda name, _: {"repositoryName": name, "force": True},
        ignored={
            "EmptyOnDelete": "the twin empties it in any case",
            "LifecyclePolicy": "the twin keeps no images",
            "ImageScanningConfiguration": "the twin keeps no images",
            "ImageTagMutability": "the twin keeps no images",
            "EncryptionConfiguration": "the twin keeps no images",
        },
    ),
    ApiKind(
        "AWS::CodeBuild::Project",
        "codebuild",
        "create_project",
        delete_by="delete_project",
        name="Name",
        ref=lambda properties, _: str(properties["Name"]),
        attributes=lambda name, *_: {"Arn": arn("codebuild", f"project/{name}")},
        identify=lambda name, _: {"name": name},
        ignored={"LogsConfig": "the twin builds no image: its containers are plain processes"},
        prepare=_project,
    ),
)
