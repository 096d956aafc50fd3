"""Replacements in moto's queues: safe for several consumers at once, and at the speed of the twin.

moto loses a message that arrives while another is deleted, gives one message to two consumers, looks for new ones only
once a second, and runs Lambda functions inside SendMessage. Time-outs and delays are AWS's seconds.
"""

from __future__ import annotations

import time
from typing import Any

from moto.core.utils import unix_time_millis

from twin import context
from twin.moto_patches.registry import original

_MODELS = "moto.sqs.models"
_LONGEST_WAIT_SECONDS = 0.25


def add_message(self: Any, message: Any) -> None:
    """Queue.add_message: stores the message and wakes waiting consumers; runs no function."""
    with self._messages_lock:
        self._messages.append(message)
        self._messages_lock.notify_all()


def delete_message(self: Any, receipt_handle: str) -> None:
    """Queue.delete_message, without losing messages that arrive meanwhile."""
    with self._messages_lock:
        original(f"{_MODELS}:Queue.delete_message")(self, receipt_handle)


def receive_message(  # noqa: PLR0913, PLR0917 - moto's signature
    self: Any,
    queue_name: str,
    count: int,
    wait_seconds_timeout: float,
    visibility_timeout: int,
    message_attribute_names: list[str] | None = None,
) -> list[Any]:
    """SQSBackend.receive_message: one consumer at a time; a wait ends as soon as there is a message."""
    queue = self.get_queue(queue_name)
    until = time.monotonic() + wait_seconds_timeout
    take = original(f"{_MODELS}:SQSBackend.receive_message")
    with queue._messages_lock:
        while True:
            found: list[Any] = take(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            queue._messages_lock.wait(min(left, seconds_to_next(queue)))


def change_message_visibility(self: Any, queue_name: str, receipt_handle: str, visibility_timeout: int) -> None:
    """SQSBackend.change_message_visibility, and waiting consumers look again."""
    queue = self.get_queue(queue_name)
    change = original(f"{_MODELS}:SQSBackend.change_message_visibility")
    with queue._messages_lock:
        change(self, queue_name, receipt_handle, visibility_timeout)
        queue._messages_lock.notify_all()


def change_visibility(self: Any, visibility_timeout: float) -> None:
    """Message.change_visibility: AWS's seconds."""
    self.visible_at = unix_time_millis() + context.current().real_seconds(float(visibility_timeout)) * 1000


def delay(self: Any, delay_seconds: float) -> None:
    """Message.delay: AWS's seconds."""
    self.delayed_until = unix_time_millis() + context.current().real_seconds(float(delay_seconds)) * 1000


def _visible(queue: Any) -> list[Any]:
    now = unix_time_millis()
    return [each for each in list(queue._messages) if now > each.visible_at and now >= each.delayed_until]


def _delayed(queue: Any) -> int:
    now = unix_time_millis()
    return sum(now < each.delayed_until for each in list(queue._messages))


def _in_flight(queue: Any) -> int:
    now = unix_time_millis()
    return sum(now <= each.visible_at for each in list(queue._messages))


# moto reads the clock for each message, and counts them all for each one that is sent or received: with some thousands
# waiting, sending a batch took a second.
messages = property(_visible)
approximate_number_of_messages_delayed = property(_delayed)
approximate_number_of_messages_not_visible = property(_in_flight)


def is_message_valid_based_on_retention_period(self: Any, queue_name: str, message: Any) -> bool:
    """SQSBackend.is_message_valid_based_on_retention_period, without counting the queue for each message."""
    period_seconds = self.get_queue(queue_name).message_retention_period
    return bool(period_seconds + message.sent_timestamp / 1000 > unix_time_millis() / 1000)


def backend_of(queue_arn: str) -> Any:
    """moto's backend for a queue."""
    from moto.sqs.models import sqs_backends  # noqa: PLC0415 - moto is heavy

    _, _, _, region, account, _ = queue_arn.split(":", 5)
    return sqs_backends[account][region]


def find(queue_arn: str) -> Any:
    """moto's queue of an ARN; None when it does not exist."""
    return backend_of(queue_arn).queues.get(queue_arn.split(":", 5)[5])


def seconds_to_next(queue: Any) -> float:
    """Real seconds until a message of the queue can become visible by itself; bounded. The caller holds the lock."""
    now = unix_time_millis()
    times = [max(message.visible_at, message.delayed_until) for message in queue._messages]
    ahead = [moment - now for moment in times if moment >= now]
    return float(min([_LONGEST_WAIT_SECONDS, *((milliseconds + 1) / 1000 for milliseconds in ahead)]))
