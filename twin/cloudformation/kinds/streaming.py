"""What carries records: Firehose's delivery streams."""

from __future__ import annotations

from typing import Any

from twin.cloudformation.errors import Replace
from twin.cloudformation.kinds.base import (
    Existing,
    Made,
    Order,
    call,
    changed_properties,
    only_known,
    tolerate_missing,
)

_NAME = "DeliveryStreamName"
_DESTINATION = "ExtendedS3DestinationConfiguration"
_ENCRYPTION = "DeliveryStreamEncryptionConfigurationInput"
_KNOWN = frozenset((_NAME, "DeliveryStreamType", _DESTINATION, _ENCRYPTION, "Tags"))


class DeliveryStream:
    """AWS::KinesisFirehose::DeliveryStream; its destination and encryption change in place, nothing else does."""

    type = "AWS::KinesisFirehose::DeliveryStream"
    name = _NAME

    def create(self, order: Order) -> Made:
        only_known(order, _KNOWN)
        order = order.named(_NAME)
        answer = call("firehose", "create_delivery_stream", order.properties, self._where(order))
        return Made(str(order.properties[_NAME]), {"Arn": answer["DeliveryStreamARN"]})

    def update(self, order: Order, existing: Existing) -> Made:
        only_known(order, _KNOWN)
        changed = changed_properties(order.properties, existing.properties)
        if changed - {_DESTINATION, _ENCRYPTION, "Tags"} or _DESTINATION not in order.properties:
            raise Replace
        if _DESTINATION in changed:
            self._redirect(order, existing)
        if _ENCRYPTION in changed:
            self._encrypt(order, existing)
        if "Tags" in changed:
            self._tag(order, existing)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        where = f"{existing.logical_id} ({self.type})"
        parameters = {_NAME: existing.physical_id}
        tolerate_missing(lambda: call("firehose", "delete_delivery_stream", parameters, where))

    def _redirect(self, order: Order, existing: Existing) -> None:
        where = self._where(order)
        described = call("firehose", "describe_delivery_stream", {_NAME: existing.physical_id}, where)
        description = described["DeliveryStreamDescription"]
        parameters: dict[str, Any] = {
            _NAME: existing.physical_id,
            "CurrentDeliveryStreamVersionId": description["VersionId"],
            "DestinationId": description["Destinations"][0]["DestinationId"],
            "ExtendedS3DestinationUpdate": order.properties[_DESTINATION],
        }
        call("firehose", "update_destination", parameters, where)

    def _encrypt(self, order: Order, existing: Existing) -> None:
        parameters: dict[str, Any] = {_NAME: existing.physical_id}
        if _ENCRYPTION in order.properties:
            parameters[_ENCRYPTION] = order.properties[_ENCRYPTION]
            call("firehose", "start_delivery_stream_encryption", parameters, self._where(order))
        else:
            call("firehose", "stop_delivery_stream_encryption", parameters, self._where(order))

    def _tag(self, order: Order, existing: Existing) -> None:
        new, old = order.properties.get("Tags", []), existing.properties.get("Tags", [])
        gone = [tag["Key"] for tag in old if tag["Key"] not in {tag["Key"] for tag in new}]
        name = {_NAME: existing.physical_id}
        if gone:
            call("firehose", "untag_delivery_stream", {**name, "TagKeys": gone}, self._where(order))
        if new:
            call("firehose", "tag_delivery_stream", {**name, "Tags": new}, self._where(order))

    def _where(self, order: Order) -> str:
        return f"{order.logical_id} ({self.type})"


KINDS = (DeliveryStream(),)
