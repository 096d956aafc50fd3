"""SQS queues, EventBridge rules and Firehose delivery streams."""

from __future__ import annotations

import json
from typing import Any

from twin.cloudformation.errors import ReplacementRequired, ResourceError
from twin.cloudformation.resource_types.base import (
    CreatedResource,
    DesiredResource,
    ExistingResource,
    arn,
    call,
    changed_properties,
    refuse_unknown,
    tolerate_missing,
)

_QUEUE_DEFAULTS = {
    # The values of properties that are removed from the template.
    "DelaySeconds": "0",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "RedrivePolicy": "",
    "SqsManagedSseEnabled": "true",
}


class Queue:
    """AWS::SQS::Queue, a standard queue."""

    type = "AWS::SQS::Queue"
    name = "QueueName"

    def create(self, desired: DesiredResource) -> CreatedResource:
        refuse_unknown(desired, frozenset(_QUEUE_DEFAULTS) | {self.name})
        properties = dict(desired.named(self.name, 80).properties)
        name = str(properties.pop(self.name))
        parameters = {"QueueName": name, "Attributes": properties}
        url = str(call("sqs", "create_queue", parameters, desired.where)["QueueUrl"])
        return CreatedResource(url, {"Arn": arn("sqs", name), "QueueName": name, "QueueUrl": url})

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        refuse_unknown(desired, frozenset(_QUEUE_DEFAULTS) | {self.name})
        changed = changed_properties(desired.properties, existing.properties)
        if self.name in changed:
            raise ReplacementRequired
        values = {name: desired.properties.get(name, _QUEUE_DEFAULTS[name]) for name in changed}
        parameters = {"QueueUrl": existing.physical_id, "Attributes": values}
        call("sqs", "set_queue_attributes", parameters, desired.where)
        return CreatedResource(existing.physical_id, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("sqs", "delete_queue", {"QueueUrl": existing.physical_id}, where))


class QueuePolicy:
    """AWS::SQS::QueuePolicy: one policy on each of its queues."""

    type = "AWS::SQS::QueuePolicy"

    def create(self, desired: DesiredResource) -> CreatedResource:
        refuse_unknown(desired, frozenset(("Queues", "PolicyDocument")))
        for url in desired.properties["Queues"]:
            self._set(url, json.dumps(desired.properties["PolicyDocument"]), desired.where)
        return CreatedResource(f"{desired.stack_name}-{desired.logical_id}")

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        for url in existing.properties["Queues"]:
            if url not in desired.properties["Queues"]:
                self._set(url, "", desired.where)
        self.create(desired)
        return CreatedResource(existing.physical_id, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        for url in existing.properties["Queues"]:
            tolerate_missing(lambda url=url: self._set(url, "", existing.logical_id))  # type: ignore[misc]

    def _set(self, url: str, policy: str, where: str) -> None:
        call("sqs", "set_queue_attributes", {"QueueUrl": url, "Attributes": {"Policy": policy}}, where)


class Rule:
    """AWS::Events::Rule on the default bus, with its targets."""

    type = "AWS::Events::Rule"
    name = "Name"
    _known = frozenset(("Name", "Description", "EventPattern", "ScheduleExpression", "State", "Targets"))

    def create(self, desired: DesiredResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        desired = desired.named(self.name)
        rule = str(desired.properties[self.name])
        return CreatedResource(rule, {"Arn": self._put(rule, desired)})

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        if self.name in changed_properties(desired.properties, existing.properties):
            raise ReplacementRequired
        rule = existing.physical_id
        self._remove(rule, _targets(existing.properties) - _targets(desired.properties), desired.where)
        self._put(rule, desired)
        return CreatedResource(rule, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        rule, where = existing.physical_id, f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: self._remove(rule, _targets(existing.properties), where))
        tolerate_missing(lambda: call("events", "delete_rule", {"Name": rule}, where))

    def _put(self, rule: str, desired: DesiredResource) -> str:
        """Create or change the rule and its targets; its ARN."""
        properties = {**desired.properties, self.name: rule}
        targets = properties.pop("Targets", [])
        made = call("events", "put_rule", properties, desired.where)
        if targets:
            response = call("events", "put_targets", {"Rule": rule, "Targets": targets}, desired.where)
            if failed := response.get("FailedEntries"):
                raise ResourceError(f"{desired.where}: target {failed[0]['TargetId']}: {failed[0]['ErrorMessage']}")
        return str(made["RuleArn"])

    def _remove(self, rule: str, targets: set[str], where: str) -> None:
        if targets:
            call("events", "remove_targets", {"Rule": rule, "Ids": sorted(targets)}, where)


def _targets(properties: dict[str, Any]) -> set[str]:
    return {target["Id"] for target in properties.get("Targets", [])}


class DeliveryStream:
    """AWS::KinesisFirehose::DeliveryStream; only its destination changes in place."""

    type = "AWS::KinesisFirehose::DeliveryStream"
    name = "DeliveryStreamName"
    _destination = "ExtendedS3DestinationConfiguration"
    _known = frozenset((name, "DeliveryStreamType", _destination, "DeliveryStreamEncryptionConfigurationInput"))

    def create(self, desired: DesiredResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        desired = desired.named(self.name)
        response = call("firehose", "create_delivery_stream", desired.properties, desired.where)
        return CreatedResource(str(desired.properties[self.name]), {"Arn": response["DeliveryStreamARN"]})

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        if changed_properties(desired.properties, existing.properties) != {self._destination}:
            raise ReplacementRequired
        stream = {self.name: existing.physical_id}
        described = call("firehose", "describe_delivery_stream", stream, desired.where)["DeliveryStreamDescription"]
        parameters: dict[str, Any] = {
            **stream,
            "CurrentDeliveryStreamVersionId": described["VersionId"],
            "DestinationId": described["Destinations"][0]["DestinationId"],
            "ExtendedS3DestinationUpdate": desired.properties[self._destination],
        }
        call("firehose", "update_destination", parameters, desired.where)
        return CreatedResource(existing.physical_id, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        where = f"{existing.logical_id} ({self.type})"
        parameters = {self.name: existing.physical_id}
        tolerate_missing(lambda: call("firehose", "delete_delivery_stream", parameters, where))


RESOURCE_TYPES = (Queue(), QueuePolicy(), Rule(), DeliveryStream())
