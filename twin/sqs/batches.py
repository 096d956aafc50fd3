"""Builds the SQS events of a batch of messages, and reads from the function's response which messages failed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from twin.awslambda.invocation import SYNCHRONOUS_PAYLOAD_BYTES

_FRAME_BYTES = len('{"Records": []}')
_BETWEEN_BYTES = len(", ")


def payloads(messages: Sequence[Any], queue_arn: str) -> Iterator[tuple[list[Any], bytes]]:
    """(messages, event) for one or more invocations: as many messages in each as 6 MB hold."""
    part: list[Any] = []
    texts: list[str] = []
    size = _FRAME_BYTES
    for message in messages:
        text = json.dumps(_record(message, queue_arn))
        if part and size + len(text) + _BETWEEN_BYTES > SYNCHRONOUS_PAYLOAD_BYTES:
            yield part, _event(texts)
            part, texts, size = [], [], _FRAME_BYTES
        part.append(message)
        texts.append(text)
        size += len(text) + _BETWEEN_BYTES
    if part:
        yield part, _event(texts)


def failed(ids: Collection[str], payload: bytes, *, error: bool, reports: bool) -> set[str]:
    """The ids of the messages that return to the queue.

    error: the function failed, so the whole batch failed. reports: the mapping has ReportBatchItemFailures.
    Nothing reported (null, an object without failures) means success; a malformed response, and an empty, missing or
    unknown id, mean that the whole batch failed.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if error:
        return set(ids)
    if not reports:
        return set()
    reported = _reported(payload)
    if reported is None or not all(isinstance(each, str) and each in ids for each in reported):
        return set(ids)
    return {str(each) for each in reported}


def _record(message: Any, queue_arn: str) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event"""
    shaped = {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.approximate_receive_count),
            "SentTimestamp": str(message.sent_timestamp),
            "SenderId": str(message.sender_id),
            "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
        },
        "messageAttributes": {name: _attribute(value) for name, value in message.message_attributes.items()},
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
    return shaped | ({"md5OfMessageAttributes": message.attribute_md5} if message.message_attributes else {})


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "dataType": value["DataType"],
        "stringValue": value.get("StringValue"),
        "stringListValues": [],
        "binaryListValues": [],
    }


def _event(texts: list[str]) -> bytes:
    return f'{{"Records": [{", ".join(texts)}]}}'.encode()


def _reported(payload: bytes) -> list[object] | None:
    """The reported identifiers, of whatever type; None when the response is malformed."""
    try:
        response = json.loads(payload or b"null")
    except ValueError:
        return None
    if response is None:
        return []
    failures = response.get("batchItemFailures", []) if isinstance(response, dict) else False
    if failures is None:
        return []
    if not isinstance(failures, list):
        return None
    return [item.get("itemIdentifier") if isinstance(item, dict) else None for item in failures]
