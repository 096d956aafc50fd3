"""Lambda: functions, layers, permissions and event sources."""

from __future__ import annotations

from typing import Any

from twin.cloudformation.errors import ReplacementRequired, ResourceError
from twin.cloudformation.resource_types.base import (
    ApiResourceType,
    CreatedResource,
    DesiredResource,
    ExistingResource,
    call,
    changed_properties,
    tolerate_missing,
)

_CODE = ("Code", "Architectures")
_NEVER_CHANGED = ("FunctionName", "PackageType", "Tags")
_DEFAULTS: dict[str, Any] = {
    # The values of properties that are removed from the template.
    "Description": "",
    "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512},
    "Layers": [],
    "MemorySize": 128,
    "Timeout": 3,
}


class Function:
    """AWS::Lambda::Function"""

    type = "AWS::Lambda::Function"
    name = "FunctionName"

    def create(self, desired: DesiredResource) -> CreatedResource:
        properties = desired.named("FunctionName").properties
        made = call("lambda", "create_function", properties, desired.where)
        return CreatedResource(str(made["FunctionName"]), {"Arn": made["FunctionArn"]})

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        changed = changed_properties(desired.properties, existing.properties)
        if changed & set(_NEVER_CHANGED):
            raise ReplacementRequired
        name = existing.physical_id
        if changed & set(_CODE):
            parameters = {"FunctionName": name, **desired.properties["Code"]}
            call("lambda", "update_function_code", parameters, desired.where)
        if rest := changed - set(_CODE):
            values = {one: desired.properties.get(one, _DEFAULTS.get(one)) for one in rest}
            if gone := sorted(one for one, value in values.items() if value is None):
                raise ResourceError(f"{desired.where}: the twin cannot remove {gone[0]} from a function")
            call("lambda", "update_function_configuration", {"FunctionName": name, **values}, desired.where)
        return CreatedResource(name, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("lambda", "delete_function", {"FunctionName": existing.physical_id}, where))


class Permission:
    """AWS::Lambda::Permission"""

    type = "AWS::Lambda::Permission"

    def create(self, desired: DesiredResource) -> CreatedResource:
        statement = desired.named("StatementId", 100).properties["StatementId"]
        call("lambda", "add_permission", {**desired.properties, "StatementId": statement}, desired.where)
        return CreatedResource(str(statement), {"Id": statement})

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:  # noqa: ARG002
        raise ReplacementRequired

    def delete(self, existing: ExistingResource) -> None:
        parameters = {"FunctionName": existing.properties["FunctionName"], "StatementId": existing.physical_id}
        tolerate_missing(lambda: call("lambda", "remove_permission", parameters, existing.logical_id))


RESOURCE_TYPES = (
    Function(),
    Permission(),
    ApiResourceType(
        "AWS::Lambda::LayerVersion",
        "lambda",
        "publish_layer_version",
        delete_by="delete_layer_version",
        name="LayerName",
        ref=lambda _, response: str(response["LayerVersionArn"]),
        attributes=lambda layer, *_: {"LayerVersionArn": layer},
        identify=lambda layer, _: {"LayerName": layer.split(":")[6], "VersionNumber": layer.split(":")[7]},
    ),
    ApiResourceType(
        "AWS::Lambda::EventSourceMapping",
        "lambda",
        "create_event_source_mapping",
        delete_by="delete_event_source_mapping",
        update_by="update_event_source_mapping",
        ref=lambda _, response: str(response["UUID"]),
        attributes=lambda mapping, *_: {"Id": mapping},
        identify=lambda mapping, _: {"UUID": mapping},
    ),
)
