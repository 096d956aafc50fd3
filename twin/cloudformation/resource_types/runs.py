"""State machines, and what their runs need: the model registry, the image's repository and its build project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from twin import context
from twin.cloudformation.errors import ReplacementRequired, ResourceError
from twin.cloudformation.resource_types.base import (
    ApiResourceType,
    CreatedResource,
    DesiredResource,
    ExistingResource,
    arn,
    call,
    changed_properties,
    refuse_unknown,
    tolerate_missing,
)
from twin.sagemaker import image_pull

_SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


class StateMachine:
    """AWS::StepFunctions::StateMachine"""

    type = "AWS::StepFunctions::StateMachine"
    name = "StateMachineName"
    _known = frozenset(
        (
            "DefinitionString",
            "DefinitionS3Location",
            "DefinitionSubstitutions",
            "RoleArn",
            name,
            "StateMachineType",
            "Tags",
        )
    )

    def create(self, desired: DesiredResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        desired = desired.named(self.name, 80)
        parameters = {
            "name": desired.properties[self.name],
            "definition": _definition(desired),
            "roleArn": desired.properties["RoleArn"],
            "type": desired.properties.get("StateMachineType", "STANDARD"),
        }
        made = call("stepfunctions", "create_state_machine", parameters, desired.where)["stateMachineArn"]
        return CreatedResource(made, {"Arn": made, "Name": desired.properties[self.name]})

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        if changed_properties(desired.properties, existing.properties) & {self.name, "StateMachineType"}:
            raise ReplacementRequired
        parameters = {
            "stateMachineArn": existing.physical_id,
            "definition": _definition(desired),
            "roleArn": desired.properties["RoleArn"],
        }
        call("stepfunctions", "update_state_machine", parameters, desired.where)
        return CreatedResource(existing.physical_id, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        keys = {"stateMachineArn": existing.physical_id}
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("stepfunctions", "delete_state_machine", keys, where))


def _definition(desired: DesiredResource) -> str:
    """The definition with its substitutions made; ResourceError for a substitution without a value."""
    properties = desired.properties
    if ("DefinitionString" in properties) == ("DefinitionS3Location" in properties):
        raise ResourceError(f"{desired.where}: give exactly one of DefinitionString and DefinitionS3Location")
    text = properties.get("DefinitionString") or _stored(properties["DefinitionS3Location"], desired.where)
    values: Mapping[str, Any] = properties.get("DefinitionSubstitutions", {})
    if missing := sorted(set(_SUBSTITUTION.findall(text)) - set(values)):
        raise ResourceError(f"{desired.where}: DefinitionSubstitutions has no {', '.join(missing)}")
    return _SUBSTITUTION.sub(lambda match: str(values[match[1]]), text)


def _stored(location: Mapping[str, str], where: str) -> str:
    version = {"VersionId": location["Version"]} if "Version" in location else {}
    try:
        response = context.client("s3").get_object(Bucket=location["Bucket"], Key=location["Key"], **version)
    except ClientError as error:
        uri = f"s3://{location['Bucket']}/{location['Key']}"
        raise ResourceError(f"{where}: {uri} cannot be read: {error}") from error
    return str(response["Body"].read().decode())


def _project(properties: dict[str, Any]) -> dict[str, Any]:
    """CodeBuild's API spells the template's BuildSpec as buildspec."""
    source = dict(properties["Source"])
    if "BuildSpec" in source:
        source["buildspec"] = source.pop("BuildSpec")
    return {**properties, "Source": source}


class Repository(ApiResourceType):
    """AWS::ECR::Repository, with the image that `usher image` would push: the twin builds none."""

    def create(self, desired: DesiredResource) -> CreatedResource:
        created = super().create(desired)
        image_pull.push(created.physical_id)
        return created


RESOURCE_TYPES = (
    StateMachine(),
    ApiResourceType(
        "AWS::SageMaker::ModelPackageGroup",
        "sagemaker",
        "create_model_package_group",
        delete_by="delete_model_package_group",
        ref=lambda _, response: str(response["ModelPackageGroupArn"]),
        attributes=lambda group, *_: {"ModelPackageGroupArn": group},
        identify=lambda _, properties: {"ModelPackageGroupName": properties["ModelPackageGroupName"]},
    ),
    Repository(
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
            "EmptyOnDelete": "the twin always empties it",
            "LifecyclePolicy": "the twin's images take no space",
            "ImageScanningConfiguration": "the twin's images hold nothing to scan",
        },
    ),
    ApiResourceType(
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
