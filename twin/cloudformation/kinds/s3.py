"""S3 buckets and their policies: a bucket's properties are a call each, in shapes that differ from the API's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twin import context
from twin.cloudformation.errors import Replace, ResourceError
from twin.cloudformation.kinds.base import (
    ApiKind,
    Existing,
    Made,
    Order,
    call,
    changed_properties,
    generated_name,
    only_known,
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
    renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    return {"Rules": [{renamed.get(key, key): item for key, item in rule.items()} for rule in rules]}


def _lifecycle(value: dict[str, Any]) -> dict[str, Any]:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    result = dict(rule)
    result["Filter"] = {"Prefix": result.pop("Prefix", "")}
    for name, inner in (("ExpirationInDays", "Days"), ("ExpirationDate", "Date")):
        if name in result:
            result.setdefault("Expiration", {})[inner] = result.pop(name)
    if "ExpiredObjectDeleteMarker" in result:
        result.setdefault("Expiration", {})["ExpiredObjectDeleteMarker"] = result.pop("ExpiredObjectDeleteMarker")
    if "Transitions" in result:
        renamed = {"TransitionInDays": "Days", "TransitionDate": "Date"}
        result["Transitions"] = [
            {renamed.get(key, key): item for key, item in one.items()} for one in result["Transitions"]
        ]
    return result


_TARGETS = {
    "LambdaConfigurations": ("LambdaFunctionConfigurations", "Function", "LambdaFunctionArn"),
    "QueueConfigurations": ("QueueConfigurations", "Queue", "QueueArn"),
    "TopicConfigurations": ("TopicConfigurations", "Topic", "TopicArn"),
}


def _notifications(value: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, item in value.items():
        if name == "EventBridgeConfiguration":
            if str(item.get("EventBridgeEnabled", True)).lower() == "true":
                result[name] = {}
        elif name in _TARGETS:
            api, given, wanted = _TARGETS[name]
            result[api] = [_notification(one, given, wanted) for one in item]
        else:
            result[name] = item
    return result


def _notification(one: dict[str, Any], given: str, wanted: str) -> dict[str, Any]:
    result: dict[str, Any] = {wanted: one[given], "Events": [one["Event"]]}
    if rules := one.get("Filter", {}).get("S3Key", {}).get("Rules"):
        result["Filter"] = {"Key": {"FilterRules": rules}}
    return result


def _cors(value: dict[str, Any]) -> dict[str, Any]:
    renamed = {"MaxAge": "MaxAgeSeconds", "Id": "ID", "ExposedHeaders": "ExposeHeaders"}
    return {"CORSRules": [{renamed.get(key, key): item for key, item in rule.items()} for rule in value["CorsRules"]]}


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
    "CorsConfiguration": _Setting("put_bucket_cors", "CORSConfiguration", _cors, "delete_bucket_cors"),
    "Tags": _Setting("put_bucket_tagging", "Tagging", lambda tags: {"TagSet": tags}, "delete_bucket_tagging"),
}

# What stands for "not there" where the API has no call that removes a setting.
_ABSENT = {"VersioningConfiguration": {"Status": "Suspended"}, "NotificationConfiguration": {}}


class Bucket:
    """AWS::S3::Bucket"""

    type = "AWS::S3::Bucket"
    name = "BucketName"

    def create(self, order: Order) -> Made:
        only_known(order, frozenset(SETTINGS) | {"BucketName"})
        generated = generated_name(order.stack_name, order.logical_id, BUCKET_NAME_LIMIT).lower()
        bucket = str(order.properties.get("BucketName", generated))
        region = context.current().region
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        call("s3", "create_bucket", {"Bucket": bucket, **place}, order.logical_id)
        for name in SETTINGS:
            if name in order.properties:
                _put(bucket, name, order.properties[name], order)
        return Made(bucket, _bucket_attributes(bucket, region))

    def update(self, order: Order, existing: Existing) -> Made:
        only_known(order, frozenset(SETTINGS) | {"BucketName"})
        changed = changed_properties(order.properties, existing.properties)
        if "BucketName" in changed:
            raise Replace
        for name in changed:
            if name in order.properties:
                _put(existing.physical_id, name, order.properties[name], order)
            elif name in _ABSENT:
                _put(existing.physical_id, name, _ABSENT[name], order)
            else:
                call("s3", SETTINGS[name].remove_by, {"Bucket": existing.physical_id}, order.logical_id)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("s3", "delete_bucket", {"Bucket": existing.physical_id}, where))


def _put(bucket: str, name: str, value: Any, order: Order) -> None:
    setting = SETTINGS[name]
    where = f"{order.logical_id}.{name}"
    try:
        shaped = setting.value(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ResourceError(f"{where} is malformed: {error} is missing or of the wrong type") from error
    call("s3", setting.set_by, {"Bucket": bucket, setting.parameter: shaped}, where)


def _bucket_attributes(bucket: str, region: str) -> dict[str, Any]:
    return {
        "Arn": f"arn:aws:s3:::{bucket}",
        "DomainName": f"{bucket}.s3.amazonaws.com",
        "RegionalDomainName": f"{bucket}.s3.{region}.amazonaws.com",
        "DualStackDomainName": f"{bucket}.s3.dualstack.{region}.amazonaws.com",
        "WebsiteURL": f"http://{bucket}.s3-website-{region}.amazonaws.com",
    }


KINDS = (
    Bucket(),
    ApiKind(
        "AWS::S3::BucketPolicy",
        "s3",
        "put_bucket_policy",
        delete_by="delete_bucket_policy",
        update_by="put_bucket_policy",
        rename={"PolicyDocument": "Policy"},
        ref=lambda properties, _: str(properties["Bucket"]),
        identify=lambda bucket, _: {"Bucket": bucket},
    ),
)
