"""SQS's own metrics, which alarms on dead-letter queues stand on."""

from __future__ import annotations

import time
from typing import Any

from twin import context
from twin.cloudwatch.data import Datum, publish


def publish_queues() -> None:
    """How many messages each queue holds now, and how old the oldest is in AWS's seconds, as SQS does every minute."""
    from moto.sqs.models import sqs_backends  # noqa: PLC0415 - moto is heavy

    region = context.current().region
    for queue in list(sqs_backends[context.ACCOUNT][region].queues.values()):
        publish(context.ACCOUNT, region, "AWS/SQS", _data(queue))


def _data(queue: Any) -> list[Datum]:
    with queue._messages_lock:
        messages = list(queue._messages)
    delayed = sum(message.delayed for message in messages)
    hidden = sum(not message.visible for message in messages)
    oldest = min((message.sent_timestamp for message in messages), default=None)
    age = 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000) * context.current().speed
    dimensions = (("QueueName", queue.name),)
    return [
        Datum("ApproximateNumberOfMessagesVisible", float(len(messages) - delayed - hidden), "Count", dimensions),
        Datum("ApproximateNumberOfMessagesNotVisible", float(hidden), "Count", dimensions),
        Datum("ApproximateNumberOfMessagesDelayed", float(delayed), "Count", dimensions),
        Datum("ApproximateAgeOfOldestMessage", age, "Seconds", dimensions),
    ]
