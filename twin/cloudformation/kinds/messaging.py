"""What carries messages: SQS queues, SNS topics, EventBridge rules and buses, schedules."""

from __future__ import annotations

import json
from typing import Any

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

_QUEUE_DEFAULTS = {
    # What a property that vanishes from the template goes back to.
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "RedrivePolicy": "",
    "RedriveAllowPolicy": "",
    "KmsMasterKeyId": "",
    "KmsDataKeyReusePeriodSeconds": "300",
    "SqsManagedSseEnabled": "true",
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}


class Queue:
    """AWS::SQS::Queue"""

    type = "AWS::SQS::Queue"
    name = "QueueName"

    def create(self, order: Order) -> Made:
        properties = dict(order.named("QueueName", 80).properties)
        name = str(properties.pop("QueueName"))
        if str(properties.get("FifoQueue", "")).lower() == "true" and not name.endswith(".fifo"):
            name = name[:75] + ".fifo"
        tags = {tag["Key"]: tag["Value"] for tag in properties.pop("Tags", [])}
        parameters = {"QueueName": name, "Attributes": _attributes(order, properties), "tags": tags}
        url = str(call("sqs", "create_queue", parameters, order.logical_id)["QueueUrl"])
        return Made(url, {"Arn": arn("sqs", name), "QueueName": name, "QueueUrl": url})

    def update(self, order: Order, existing: Existing) -> Made:
        changed = changed_properties(order.properties, existing.properties)
        if changed & {"QueueName", "FifoQueue"}:
            raise Replace
        values = {name: order.properties.get(name, _QUEUE_DEFAULTS.get(name, "")) for name in changed - {"Tags"}}
        if values:
            parameters = {"QueueUrl": existing.physical_id, "Attributes": _attributes(order, values)}
            call("sqs", "set_queue_attributes", parameters, order.logical_id)
        if "Tags" in changed:
            self._tag(order, existing)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("sqs", "delete_queue", {"QueueUrl": existing.physical_id}, where))

    def _tag(self, order: Order, existing: Existing) -> None:
        old = [tag["Key"] for tag in existing.properties.get("Tags", [])]
        if old:
            call("sqs", "untag_queue", {"QueueUrl": existing.physical_id, "TagKeys": old}, order.logical_id)
        if new := {tag["Key"]: tag["Value"] for tag in order.properties.get("Tags", [])}:
            call("sqs", "tag_queue", {"QueueUrl": existing.physical_id, "Tags": new}, order.logical_id)


def _attributes(order: Order, properties: dict[str, Any]) -> dict[str, Any]:
    known = frozenset(_QUEUE_DEFAULTS) | {"FifoQueue"}
    if unknown := sorted(set(properties) - known):
        raise ResourceError(f"property {order.logical_id} (AWS::SQS::Queue).{unknown[0]} is not known to the twin")
    return {
        name: value for name, value in properties.items() if not (name == "FifoQueue" and str(value).lower() == "false")
    }


class QueuePolicy:
    """AWS::SQS::QueuePolicy: one policy on each of its queues."""

    type = "AWS::SQS::QueuePolicy"

    def create(self, order: Order) -> Made:
        only_known(order, frozenset(("Queues", "PolicyDocument")))
        for url in order.properties["Queues"]:
            self._set(url, json.dumps(order.properties["PolicyDocument"]), order.logical_id)
        identity = f"{order.stack_name}-{order.logical_id}"
        return Made(identity, {"Id": identity})

    def update(self, order: Order, existing: Existing) -> Made:
        for url in existing.properties["Queues"]:
            if url not in order.properties["Queues"]:
                self._set(url, "", order.logical_id)
        self.create(order)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        for url in existing.properties["Queues"]:
            tolerate_missing(lambda url=url: self._set(url, "", existing.logical_id))  # type: ignore[misc]

    def _set(self, url: str, policy: str, where: str) -> None:
        call("sqs", "set_queue_attributes", {"QueueUrl": url, "Attributes": {"Policy": policy}}, where)


class Rule:
    """AWS::Events::Rule, with its targets."""

    type = "AWS::Events::Rule"
    name = "Name"

    def create(self, order: Order) -> Made:
        order = order.named("Name")
        properties = dict(order.properties)
        targets = properties.pop("Targets", [])
        answer = call("events", "put_rule", properties, f"{order.logical_id} ({self.type})")
        bus = str(properties.get("EventBusName", "default"))
        self._put_targets(bus, str(properties["Name"]), targets, order.logical_id)
        name = str(properties["Name"])
        return Made(name if bus == "default" else f"{bus}|{name}", {"Arn": answer["RuleArn"]})

    def update(self, order: Order, existing: Existing) -> Made:
        changed = changed_properties(order.properties, existing.properties)
        if changed & {"Name", "EventBusName"}:
            raise Replace
        bus, name = _rule(existing)
        properties = {**order.properties, "Name": name}
        targets = properties.pop("Targets", [])
        call("events", "put_rule", properties, f"{order.logical_id} ({self.type})")
        kept = {target["Id"] for target in targets}
        gone = [target["Id"] for target in existing.properties.get("Targets", []) if target["Id"] not in kept]
        if gone:
            parameters = {"Rule": name, "EventBusName": bus, "Ids": gone}
            call("events", "remove_targets", parameters, order.logical_id)
        self._put_targets(bus, name, targets, order.logical_id)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        bus, name = _rule(existing)
        keys = {"Name": name, "EventBusName": bus}
        ids = [target["Id"] for target in existing.properties.get("Targets", [])]
        where = f"{existing.logical_id} ({self.type})"
        if ids:
            parameters = {"Rule": name, "EventBusName": bus, "Ids": ids}
            tolerate_missing(lambda: call("events", "remove_targets", parameters, where))
        tolerate_missing(lambda: call("events", "delete_rule", keys, where))

    def _put_targets(self, bus: str, rule: str, targets: list[dict[str, Any]], where: str) -> None:
        if not targets:
            return
        parameters = {"Rule": rule, "EventBusName": bus, "Targets": targets}
        answer = call("events", "put_targets", parameters, f"{where} (AWS::Events::Rule)")
        if failed := answer.get("FailedEntries"):
            raise ResourceError(f"{where}: target {failed[0]['TargetId']}: {failed[0]['ErrorMessage']}")


def _rule(existing: Existing) -> tuple[str, str]:
    """Bus and name, from the physical id."""
    bus, _, name = existing.physical_id.rpartition("|")
    return bus or "default", name


_TOPIC_ATTRIBUTES = frozenset(
    (
        "ContentBasedDeduplication",
        "DisplayName",
        "FifoThroughputScope",
        "FifoTopic",
        "KmsMasterKeyId",
        "SignatureVersion",
    )
)
_SUBSCRIPTION_ATTRIBUTES = frozenset(
    (
        "DeliveryPolicy",
        "FilterPolicy",
        "FilterPolicyScope",
        "RawMessageDelivery",
        "RedrivePolicy",
        "SubscriptionRoleArn",
    )
)


class Topic:
    """AWS::SNS::Topic, with the subscriptions that its property may hold."""

    type = "AWS::SNS::Topic"
    name = "TopicName"
    _plain = ("TopicName", "Tags", "Subscription")

    def create(self, order: Order) -> Made:
        only_known(order, _TOPIC_ATTRIBUTES | set(self._plain))
        order = order.named("TopicName", 256)
        attributes = {key: value for key, value in order.properties.items() if key not in self._plain}
        parameters: dict[str, Any] = {"Name": order.properties["TopicName"], "Attributes": attributes}
        parameters["Tags"] = order.properties.get("Tags", [])
        topic = str(call("sns", "create_topic", parameters, order.logical_id)["TopicArn"])
        for one in order.properties.get("Subscription", []):
            call("sns", "subscribe", {"TopicArn": topic, **one}, order.logical_id)
        return Made(topic, {"TopicArn": topic, "TopicName": topic.rpartition(":")[2]})

    def update(self, order: Order, existing: Existing) -> Made:
        only_known(order, _TOPIC_ATTRIBUTES | set(self._plain))
        changed = changed_properties(order.properties, existing.properties)
        if changed & set(self._plain) or changed - order.properties.keys():
            raise Replace
        for name in changed:
            parameters = {"TopicArn": existing.physical_id, "AttributeName": name}
            parameters["AttributeValue"] = order.properties[name]
            call("sns", "set_topic_attributes", parameters, order.logical_id)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("sns", "delete_topic", {"TopicArn": existing.physical_id}, where))


class TopicPolicy:
    """AWS::SNS::TopicPolicy"""

    type = "AWS::SNS::TopicPolicy"

    def create(self, order: Order) -> Made:
        only_known(order, frozenset(("Topics", "PolicyDocument")))
        for topic in order.properties["Topics"]:
            parameters = {"TopicArn": topic, "AttributeName": "Policy"}
            parameters["AttributeValue"] = json.dumps(order.properties["PolicyDocument"])
            call("sns", "set_topic_attributes", parameters, order.logical_id)
        return Made(f"{order.stack_name}-{order.logical_id}")

    def update(self, order: Order, existing: Existing) -> Made:
        self.create(order)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        """A topic cannot be without a policy; the topic's end is the policy's."""


KINDS = (
    Queue(),
    QueuePolicy(),
    Rule(),
    Topic(),
    TopicPolicy(),
    ApiKind(
        "AWS::SNS::Subscription",
        "sns",
        "subscribe",
        delete_by="unsubscribe",
        ref=lambda _, answer: str(answer["SubscriptionArn"]),
        identify=lambda subscription, _: {"SubscriptionArn": subscription},
        prepare=lambda properties: {
            **{key: value for key, value in properties.items() if key not in _SUBSCRIPTION_ATTRIBUTES},
            "Attributes": {key: properties[key] for key in _SUBSCRIPTION_ATTRIBUTES & properties.keys()},
            "ReturnSubscriptionArn": True,
        },
    ),
    ApiKind(
        "AWS::Events::EventBus",
        "events",
        "create_event_bus",
        delete_by="delete_event_bus",
        ref=lambda properties, _: str(properties["Name"]),
        attributes=lambda bus, _, answer: {"Arn": answer["EventBusArn"], "Name": bus},
        identify=lambda bus, _: {"Name": bus},
    ),
    ApiKind(
        "AWS::Scheduler::ScheduleGroup",
        "scheduler",
        "create_schedule_group",
        delete_by="delete_schedule_group",
        name="Name",
        ref=lambda properties, _: str(properties["Name"]),
        attributes=lambda _, __, answer: {"Arn": answer["ScheduleGroupArn"]},
        identify=lambda group, _: {"Name": group},
    ),
    ApiKind(
        "AWS::Scheduler::Schedule",
        "scheduler",
        "create_schedule",
        delete_by="delete_schedule",
        update_by="update_schedule",
        name="Name",
        ref=lambda properties, _: str(properties["Name"]),
        attributes=lambda _, __, answer: {"Arn": answer["ScheduleArn"]},
        identify=lambda schedule, properties: {
            "Name": schedule,
            **({"GroupName": properties["GroupName"]} if "GroupName" in properties else {}),
        },
    ),
)
