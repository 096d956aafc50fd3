"""S3 buckets, DynamoDB tables, Glue databases and Athena workgroups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twin import context
from twin.cloudformation.errors import ReplacementRequired, ResourceError
from twin.cloudformation.resource_types.base import (
    ApiResourceType,
    CreatedResource,
    DesiredResource,
    ExistingResource,
    ExtraCall,
    call,
    changed_properties,
    refuse_unknown,
    tolerate_missing,
)

BUCKET_NAME_LIMIT = 63


@dataclass(frozen=True, slots=True)
class _Setting:
    """One property of a bucket: the calls that set and remove it, and its value in the API's shape."""

    set_by: str
    parameter: str
    value: Callable[[Any], Any] = lambda value: value
    remove_by: str = ""


def _encryption(value: dict[str, Any]) -> dict[str, Any]:
    rules = value["ServerSideEncryptionConfiguration"]
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]} for rule in rules]}


def _lifecycle(value: dict[str, Any]) -> dict[str, Any]:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    result = {**rule, "Filter": {"Prefix": rule.get("Prefix", "")}}
    result.pop("Prefix", None)
    if "ExpirationInDays" in result:
        result["Expiration"] = {"Days": result.pop("ExpirationInDays")}
    if "Transitions" in result:
        renamed = {"TransitionInDays": "Days"}
        result["Transitions"] = [
            {renamed.get(key, key): item for key, item in one.items()} for one in result["Transitions"]
        ]
    return result


def _notifications(value: dict[str, Any]) -> dict[str, Any]:
    if set(value) - {"EventBridgeConfiguration"}:
        raise ResourceError("the twin supports no notifications of a bucket but EventBridgeConfiguration")
    enabled = str(value.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled", "true")).lower() == "true"
    return {"EventBridgeConfiguration": {}} if enabled else {}


SETTINGS: dict[str, _Setting] = {
    "VersioningConfiguration": _Setting("put_bucket_versioning", "VersioningConfiguration"),
    "BucketEncryption": _Setting(
        "put_bucket_encryption", "ServerSideEncryptionConfiguration", _encryption, "delete_bucket_encryption"
    ),
    "PublicAccessBlockConfiguration": _Setting(
        "put_public_access_block", "PublicAccessBlockConfiguration", remove_by="delete_public_access_block"
    ),
    "OwnershipControls": _Setting(
        "put_bucket_ownership_controls", "OwnershipControls", remove_by="delete_bucket_ownership_controls"
    ),
    "LifecycleConfiguration": _Setting(
        "put_bucket_lifecycle_configuration", "LifecycleConfiguration", _lifecycle, "delete_bucket_lifecycle"
    ),
    "NotificationConfiguration": _Setting(
        "put_bucket_notification_configuration", "NotificationConfiguration", _notifications
    ),
    "Tags": _Setting("put_bucket_tagging", "Tagging", lambda tags: {"TagSet": tags}, "delete_bucket_tagging"),
}
"""Those of the application's buckets, and of the bucket that `sam deploy` creates for itself."""

# The API has no call that removes these settings.
_ABSENT: dict[str, dict[str, Any]] = {
    "VersioningConfiguration": {"Status": "Suspended"},
    "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": False}},
}


class Bucket:
    """AWS::S3::Bucket"""

    type = "AWS::S3::Bucket"
    name = "BucketName"

    def create(self, desired: DesiredResource) -> CreatedResource:
        refuse_unknown(desired, frozenset(SETTINGS) | {self.name})
        bucket = str(desired.named(self.name, BUCKET_NAME_LIMIT, lower=True).properties[self.name])
        call("s3", "create_bucket", {"Bucket": bucket, **context.bucket_location()}, desired.where)
        for name in SETTINGS.keys() & desired.properties.keys():
            _put(bucket, name, desired.properties[name], desired.where)
        return CreatedResource(bucket, {"Arn": f"arn:aws:s3:::{bucket}"})

    def adopt(self, desired: DesiredResource) -> CreatedResource | None:
        """The bucket of this name, as it is; None when it does not exist or the template gives no name."""
        bucket = str(desired.properties.get(self.name, ""))
        existing = {found["Name"] for found in call("s3", "list_buckets", {}, desired.where)["Buckets"]}
        return CreatedResource(bucket, {"Arn": f"arn:aws:s3:::{bucket}"}) if bucket in existing else None

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        refuse_unknown(desired, frozenset(SETTINGS) | {self.name})
        changed = changed_properties(desired.properties, existing.properties)
        if self.name in changed:
            raise ReplacementRequired
        for name in changed:
            if name in desired.properties or name in _ABSENT:
                _put(existing.physical_id, name, desired.properties.get(name, _ABSENT.get(name)), desired.where)
            else:
                call("s3", SETTINGS[name].remove_by, {"Bucket": existing.physical_id}, desired.where)
        return CreatedResource(existing.physical_id, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("s3", "delete_bucket", {"Bucket": existing.physical_id}, where))


def _put(bucket: str, name: str, value: Any, where: str) -> None:
    setting = SETTINGS[name]
    try:
        shaped = setting.value(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ResourceError(f"{where}.{name} is malformed: {error} is missing or of the wrong type") from error
    call("s3", setting.set_by, {"Bucket": bucket, setting.parameter: shaped}, f"{where}.{name}")


def _kept_table(desired: DesiredResource) -> CreatedResource | None:
    """The table of this name, as it is; None when it does not exist or the template gives no name."""
    name = str(desired.properties.get("TableName", ""))
    if name not in call("dynamodb", "list_tables", {}, desired.where)["TableNames"]:
        return None
    table = call("dynamodb", "describe_table", {"TableName": name}, desired.where)["Table"]
    return CreatedResource(name, {"Arn": table["TableArn"]})


class WorkGroup:
    """AWS::Athena::WorkGroup"""

    type = "AWS::Athena::WorkGroup"
    name = "Name"
    _known = frozenset(("Name", "Description", "RecursiveDeleteOption", "WorkGroupConfiguration"))

    def create(self, desired: DesiredResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        # RecursiveDeleteOption belongs to the deletion; moto deletes a workgroup with its queries anyway.
        parameters = {key: value for key, value in desired.properties.items() if key != "RecursiveDeleteOption"}
        if "WorkGroupConfiguration" in parameters:
            parameters["Configuration"] = parameters.pop("WorkGroupConfiguration")
        call("athena", "create_work_group", parameters, desired.where)
        return CreatedResource(str(desired.properties["Name"]))

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        if self.name in changed_properties(desired.properties, existing.properties):
            raise ReplacementRequired
        configuration = dict(desired.properties.get("WorkGroupConfiguration", {}))
        if "ResultConfiguration" in configuration:
            configuration["ResultConfigurationUpdates"] = configuration.pop("ResultConfiguration")
        parameters = {
            "WorkGroup": existing.physical_id,
            "Description": desired.properties.get("Description", ""),
            "ConfigurationUpdates": configuration,
        }
        call("athena", "update_work_group", parameters, desired.where)
        return CreatedResource(existing.physical_id, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        parameters = {"WorkGroup": existing.physical_id, "RecursiveDeleteOption": True}
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("athena", "delete_work_group", parameters, where))


RESOURCE_TYPES = (
    Bucket(),
    ApiResourceType(
        "AWS::S3::BucketPolicy",
        "s3",
        "put_bucket_policy",
        delete_by="delete_bucket_policy",
        update_by="put_bucket_policy",
        rename={"PolicyDocument": "Policy"},
        ref=lambda properties, _: str(properties["Bucket"]),
        identify=lambda bucket, _: {"Bucket": bucket},
    ),
    ApiResourceType(
        "AWS::DynamoDB::Table",
        "dynamodb",
        "create_table",
        delete_by="delete_table",
        name="TableName",
        name_limit=255,
        ref=lambda properties, _: str(properties["TableName"]),
        attributes=lambda _, __, response: {"Arn": response["TableDescription"]["TableArn"]},
        identify=lambda table, _: {"TableName": table},
        adopt=_kept_table,
        extras={
            "TimeToLiveSpecification": ExtraCall(
                "update_time_to_live", lambda table, value: {"TableName": table, "TimeToLiveSpecification": value}
            ),
            "PointInTimeRecoverySpecification": ExtraCall(
                "update_continuous_backups",
                lambda table, value: {"TableName": table, "PointInTimeRecoverySpecification": value},
            ),
        },
    ),
    ApiResourceType(
        "AWS::Glue::Database",
        "glue",
        "create_database",
        delete_by="delete_database",
        update_by="update_database",
        ref=lambda properties, _: str(properties["DatabaseInput"]["Name"]),
        identify=lambda database, _: {"Name": database},
        replace_on=lambda properties: properties["DatabaseInput"]["Name"],
        ignored={"CatalogId": "moto has one catalog an account, and the twin one account"},
    ),
    WorkGroup(),
)
