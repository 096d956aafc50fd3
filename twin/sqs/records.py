"""Messages as a function sees them: the records of an SQS event, in batches that an invocation can carry."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from twin.awslambda.invocation import SYNCHRONOUS_PAYLOAD_BYTES

_FRAME_BYTES = len('{"Records": []}')
_BETWEEN_BYTES = len(", ")


def record(message: Any, queue_arn: str) -> dict[str, Any]:
    """One of moto's received messages, in the shape of
    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event."""
    shaped = {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": _attributes(message),
        "messageAttributes": {name: _attribute(value) for name, value in message.message_attributes.items()},
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
    return shaped | ({"md5OfMessageAttributes": message.attribute_md5} if message.message_attributes else {})


def payloads(messages: Sequence[Any], queue_arn: str) -> Iterator[tuple[list[Any], bytes]]:
    """(messages, event) for one or more invocations: as many messages in each as 6 MB hold."""
    part: list[Any] = []
    texts: list[str] = []
    size = _FRAME_BYTES
    for message in messages:
        text = json.dumps(record(message, queue_arn))
        if part and size + len(text) + _BETWEEN_BYTES > SYNCHRONOUS_PAYLOAD_BYTES:
            yield part, _event(texts)
            part, texts, size = [], [], _FRAME_BYTES
        part.append(message)
        texts.append(text)
        size += len(text) + _BETWEEN_BYTES
    if part:
        yield part, _event(texts)


def _event(texts: list[str]) -> bytes:
    return f'{{"Records": [{", ".join(texts)}]}}'.encode()


def _attributes(message: Any) -> dict[str, str]:
    found = {
        "ApproximateReceiveCount": message.approximate_receive_count,
        "SentTimestamp": message.sent_timestamp,
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": message.approximate_first_receive_timestamp,
        "SequenceNumber": message.sequence_number,
        "MessageGroupId": message.group_id,
        "MessageDeduplicationId": message.deduplication_id,
    }
    trace = message.system_attributes.get("AWSTraceHeader", {}).get("StringValue")
    return {name: str(value) for name, value in {**found, "AWSTraceHeader": trace}.items() if value is not None}


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    shaped: dict[str, Any] = {"dataType": value["DataType"], "stringListValues": [], "binaryListValues": []}
    if value.get("BinaryValue") is not None:
        binary = value["BinaryValue"]
        shaped["binaryValue"] = binary if isinstance(binary, str) else base64.b64encode(binary).decode()
    else:
        shaped["stringValue"] = value.get("StringValue")
    return shaped
