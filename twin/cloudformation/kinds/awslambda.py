"""Lambda: functions, layers, permissions, event sources, versions and aliases."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from twin import context
from twin.cloudformation.errors import Replace, ResourceError
from twin.cloudformation.kinds.base import (
    ApiKind,
    Existing,
    Made,
    Order,
    Properties,
    call,
    changed_properties,
    tolerate_missing,
)

_CODE = ("Code", "Architectures")
_NEVER_CHANGED = ("FunctionName", "PackageType")
_DEFAULTS: dict[str, Any] = {
    # What a property that vanishes from the template goes back to.
    "DeadLetterConfig": {"TargetArn": ""},
    "Description": "",
    "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512},
    "Layers": [],
    "MemorySize": 128,
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}


class Function:
    """AWS::Lambda::Function"""

    type = "AWS::Lambda::Function"
    name = "FunctionName"

    def create(self, order: Order) -> Made:
        order = order.named("FunctionName")
        properties = dict(order.properties)
        reserved = properties.pop("ReservedConcurrentExecutions", None)
        properties["Code"] = _code(properties["Code"], order)
        made = call("lambda", "create_function", properties, self._where(order))
        name = str(made["FunctionName"])
        if reserved is not None:
            self._reserve(name, reserved, order)
        return Made(name, {"Arn": made["FunctionArn"]})

    def update(self, order: Order, existing: Existing) -> Made:
        changed = changed_properties(order.properties, existing.properties)
        if changed & set(_NEVER_CHANGED):
            raise Replace
        if changed & set(_CODE):
            self._update_code(order, existing.physical_id)
        if rest := changed - {*_CODE, "Tags", "ReservedConcurrentExecutions"}:
            self._update_configuration(order, existing, rest)
        if "ReservedConcurrentExecutions" in changed:
            self._reserve(existing.physical_id, order.properties.get("ReservedConcurrentExecutions"), order)
        if "Tags" in changed:
            self._tag(order, existing)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("lambda", "delete_function", {"FunctionName": existing.physical_id}, where))

    def _update_code(self, order: Order, name: str) -> None:
        parameters = {"FunctionName": name, **_code(order.properties["Code"], order)}
        if "Architectures" in order.properties:
            parameters["Architectures"] = order.properties["Architectures"]
        call("lambda", "update_function_code", parameters, self._where(order))

    def _update_configuration(self, order: Order, existing: Existing, changed: set[str]) -> None:
        values = {name: order.properties.get(name, _DEFAULTS.get(name)) for name in changed}
        if gone := sorted(name for name, value in values.items() if value is None):
            raise ResourceError(f"{self._where(order)}: {gone[0]} cannot be taken away from a function in the twin")
        parameters = {"FunctionName": existing.physical_id, **values}
        call("lambda", "update_function_configuration", parameters, self._where(order))

    def _reserve(self, name: str, reserved: Any, order: Order) -> None:
        if reserved is None:
            call("lambda", "delete_function_concurrency", {"FunctionName": name}, self._where(order))
            return
        parameters = {"FunctionName": name, "ReservedConcurrentExecutions": reserved}
        call("lambda", "put_function_concurrency", parameters, self._where(order))

    def _tag(self, order: Order, existing: Existing) -> None:
        resource = existing.attributes["Arn"]
        if old := [tag["Key"] for tag in existing.properties.get("Tags", [])]:
            call("lambda", "untag_resource", {"Resource": resource, "TagKeys": old}, self._where(order))
        if new := order.properties.get("Tags", []):
            call("lambda", "tag_resource", {"Resource": resource, "Tags": new}, self._where(order))

    def _where(self, order: Order) -> str:
        return f"{order.logical_id} ({self.type})"


def _code(code: Properties, order: Order) -> dict[str, Any]:
    """The Code property with the API's keys; text in the template becomes an index.py, as CloudFormation does it."""
    if "ImageUri" in code:
        raise ResourceError(f"{order.logical_id}: functions from container images are not supported by the twin")
    if "ZipFile" not in code:
        return dict(code)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py", (1980, 1, 1, 0, 0, 0)), code["ZipFile"])
    # The adapter has no bytes in templates, so what it takes for text travels through S3 as code always does.
    bucket = code_bucket()
    key = f"inline/{order.stack_name}/{order.logical_id}.zip"
    context.client("s3").put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())
    return {"S3Bucket": bucket, "S3Key": key}


def code_bucket() -> str:
    """The twin's bucket for code, made when it is first asked for."""
    bucket, client, region = "usher-twin-artifacts", context.client("s3"), context.current().region
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        client.create_bucket(Bucket=bucket, **place)
    except client.exceptions.BucketAlreadyOwnedByYou:
        return bucket
    return bucket


class Version:
    """AWS::Lambda::Version"""

    type = "AWS::Lambda::Version"

    def create(self, order: Order) -> Made:
        made = call("lambda", "publish_version", order.properties, f"{order.logical_id} ({self.type})")
        return Made(str(made["FunctionArn"]), {"Version": made["Version"], "FunctionArn": made["FunctionArn"]})

    def update(self, order: Order, existing: Existing) -> Made:  # noqa: ARG002 - a version never changes
        raise Replace

    def delete(self, existing: Existing) -> None:
        parameters = {"FunctionName": existing.properties["FunctionName"], "Qualifier": existing.attributes["Version"]}
        tolerate_missing(lambda: call("lambda", "delete_function", parameters, existing.logical_id))


class Permission:
    """AWS::Lambda::Permission"""

    type = "AWS::Lambda::Permission"

    def create(self, order: Order) -> Made:
        statement = order.named("StatementId", 100).properties["StatementId"]
        parameters = {**order.properties, "StatementId": statement}
        call("lambda", "add_permission", parameters, f"{order.logical_id} ({self.type})")
        return Made(str(statement), {"Id": statement})

    def update(self, order: Order, existing: Existing) -> Made:  # noqa: ARG002 - a statement never changes
        raise Replace

    def delete(self, existing: Existing) -> None:
        parameters = {"FunctionName": existing.properties["FunctionName"], "StatementId": existing.physical_id}
        tolerate_missing(lambda: call("lambda", "remove_permission", parameters, existing.logical_id))


KINDS = (
    Function(),
    Version(),
    Permission(),
    ApiKind(
        "AWS::Lambda::LayerVersion",
        "lambda",
        "publish_layer_version",
        delete_by="delete_layer_version",
        name="LayerName",
        ref=lambda _, answer: str(answer["LayerVersionArn"]),
        attributes=lambda layer, *_: {"LayerVersionArn": layer},
        identify=lambda layer, _: {"LayerName": layer.split(":")[6], "VersionNumber": layer.split(":")[7]},
    ),
    ApiKind(
        "AWS::Lambda::EventSourceMapping",
        "lambda",
        "create_event_source_mapping",
        delete_by="delete_event_source_mapping",
        update_by="update_event_source_mapping",
        ref=lambda _, answer: str(answer["UUID"]),
        attributes=lambda mapping, _, answer: {
            "Id": mapping,
            "EventSourceMappingArn": answer.get("EventSourceMappingArn", ""),
        },
        identify=lambda mapping, _: {"UUID": mapping},
    ),
    ApiKind(
        "AWS::Lambda::Alias",
        "lambda",
        "create_alias",
        delete_by="delete_alias",
        update_by="update_alias",
        ref=lambda _, answer: str(answer["AliasArn"]),
        attributes=lambda alias, *_: {"AliasArn": alias},
        identify=lambda _, properties: {"FunctionName": properties["FunctionName"], "Name": properties["Name"]},
    ),
    ApiKind(
        "AWS::Lambda::EventInvokeConfig",
        "lambda",
        "put_function_event_invoke_config",
        delete_by="delete_function_event_invoke_config",
        update_by="put_function_event_invoke_config",
        ref=lambda properties, _: f"{properties['FunctionName']}|{properties['Qualifier']}",
        identify=lambda _, properties: {"FunctionName": properties["FunctionName"]},
    ),
)
