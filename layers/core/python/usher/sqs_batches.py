"""SQS batches with partial failures: each message succeeds or fails by itself, and is retried with back-off.

By default a failed message stays hidden for the queue's visibility timeout, an hour and a half for ingest. Its
visibility is therefore changed: to zero when a retry cannot help, so that it soon reaches the dead-letter queue, and
with back-off otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from usher.errors import InputError, OutOfTime

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: 30 s, 2.5, 12.5 and 62.5 minutes: four retries outlast a failure of an hour.
_FIRST_WAIT_SECONDS = 30
_WAIT_FACTOR = 5
_LONGEST_WAIT_SECONDS = 43_200

logger = Logger(child=True)


def each_message(
    event: Mapping[str, Any], take: Callable[[Mapping[str, Any]], None], sqs: SQSClient
) -> dict[str, list[dict[str, str]]]:
    """Process each message with `take`; an error fails that message alone. Returns the response that Lambda expects."""
    errors: dict[str, Exception] = {}
    for record in event["Records"]:
        try:
            take(record)
        except Exception as error:  # noqa: BLE001 - it fails this message alone
            errors[record["messageId"]] = error
    return answer(event, errors, sqs)


def answer(
    event: Mapping[str, Any], errors: Mapping[str, Exception], sqs: SQSClient
) -> dict[str, list[dict[str, str]]]:
    """Log and hand back failed messages. errors: by messageId. Returns the response that Lambda expects."""
    for record in event["Records"]:
        error = errors.get(record["messageId"])
        if error is not None:
            log = logger.error if isinstance(error, (InputError, OutOfTime)) else logger.exception
            log("message failed", extra={"message_id": record["messageId"], "reason": str(error)}, exc_info=error)
            hand_back(sqs, record, error)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in errors]}


def hand_back(sqs: SQSClient, record: Mapping[str, Any], error: Exception) -> None:
    """Make a failed message visible after `wait_seconds`. If this fails, the visibility timeout applies."""
    try:
        *_, account, name = str(record["eventSourceARN"]).split(":")
        sqs.change_message_visibility(
            QueueUrl=f"{sqs.meta.endpoint_url}/{account}/{name}",
            ReceiptHandle=record["receiptHandle"],
            VisibilityTimeout=wait_seconds(error, int(record["attributes"]["ApproximateReceiveCount"])),
        )
    except (KeyError, ValueError, ClientError, BotoCoreError) as failure:
        logger.warning("not handed back", extra={"message_id": record.get("messageId"), "reason": str(failure)})


def wait_seconds(error: Exception, receives: int) -> int:
    """Seconds until the next attempt. receives: how often the message was received, this time included."""
    if isinstance(error, (InputError, OutOfTime)):
        return 0
    wait: int = _FIRST_WAIT_SECONDS * _WAIT_FACTOR ** min(max(receives - 1, 0), 5)
    return min(wait, _LONGEST_WAIT_SECONDS)
