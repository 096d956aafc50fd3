"""Delivers a payload to the queue, topic or state machine that an ARN names: directly, or for a rule with retries.

A rule's event that cannot be delivered goes to the target's dead-letter queue; without one it is an error in the log.
Both are counted (AWS/Events: Invocations, FailedInvocations, InvocationsSentToDlq).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from twin import context
from twin.cloudwatch.data import Datum, publish
from twin.iam import authorization, sessions
from twin.iam.resource_policies import exists

RETRIES = 185
MAXIMUM_AGE_SECONDS = 86_400.0
_LONGEST_RETRY_SECONDS = 600.0
_WORKERS = 8

_log = logging.getLogger("usher.twin.events")

Options = Mapping[str, Any]
ClientOf = Callable[[str], Any]
Sender = Callable[[ClientOf, str, str, Options], None]


class UnsupportedTarget(ValueError):
    """The twin cannot deliver to an ARN; the message is one line."""


def deliver(arn: str, payload: str, options: Options | None = None, role: str = "") -> None:
    """Send `payload` (JSON) once. options: MessageAttributes for a queue, Subject for a topic. role: calls with it.

    Raises UnsupportedTarget, botocore's ClientError when the target refuses, CannotAssume for the role.
    """
    client = sessions.assume(role, sessions.EVENTS, "events").client if role else context.client
    _sender(arn)(client, arn, payload, options or {})


def check(arn: str) -> None:
    """Raise UnsupportedTarget if `deliver` does not support this ARN."""
    _sender(arn)


def _sender(arn: str) -> Sender:
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[0] == "arn" and parts[3] == context.current().region and parts[2] in _SENDERS:
        return _SENDERS[parts[2]]
    raise UnsupportedTarget(
        f"the twin cannot deliver to {arn!r}: use a queue, a topic or a state machine in {context.current().region}"
    )


def _to_sqs(client: ClientOf, arn: str, payload: str, options: Options) -> None:
    _, _, _, _, account, name = arn.split(":", 5)
    attributes = options.get("MessageAttributes")
    client("sqs").send_message(
        QueueUrl=f"{context.current().endpoint}/{account}/{name}",
        MessageBody=payload,
        **({"MessageAttributes": attributes} if attributes else {}),
    )


def _to_sns(client: ClientOf, arn: str, payload: str, options: Options) -> None:
    subject = options.get("Subject")
    client("sns").publish(TopicArn=arn, Message=payload, **({"Subject": subject} if subject else {}))


def _to_states(client: ClientOf, arn: str, payload: str, options: Options) -> None:  # noqa: ARG001 - one signature for all
    client("stepfunctions").start_execution(stateMachineArn=arn, name=str(uuid.uuid4()), input=payload)


_SENDERS: dict[str, Sender] = {"sqs": _to_sqs, "sns": _to_sns, "states": _to_states}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one target of a rule. attempts: made so far; waited_seconds: AWS's time spent between them."""

    rule_arn: str
    rule_name: str
    target: dict[str, Any]
    payload: str
    running_in: context.Context
    attempts: int = 0
    waited_seconds: float = 0.0


def start(delivery: Delivery) -> None:
    """Deliver in the background, with retries."""
    _workers.submit(_attempt, delivery)


def count(metric: str, rule_name: str) -> None:
    """Add one to a metric of a rule in AWS/Events."""
    running = context.current()
    publish(context.ACCOUNT, running.region, "AWS/Events", [Datum(metric, 1.0, "Count", (("RuleName", rule_name),))])


def _attempt(delivery: Delivery) -> None:
    if delivery.running_in is not context.current():
        return  # that twin has ended
    delivery = replace(delivery, attempts=delivery.attempts + 1)
    count("InvocationAttempts", delivery.rule_name)
    try:
        role = str(delivery.target.get("RoleArn") or "")
        if not role:
            _check_policy(delivery, delivery.target["Arn"])
        deliver(delivery.target["Arn"], delivery.payload, role=role)
    except Exception as error:  # noqa: BLE001 - no caller waits for this thread, so every failure is handled here
        _failed(delivery, error)
    else:
        count("Invocations", delivery.rule_name)


def _failed(delivery: Delivery, error: Exception) -> None:
    policy = delivery.target.get("RetryPolicy") or {}
    delay_seconds = min(2.0 ** (delivery.attempts - 1), _LONGEST_RETRY_SECONDS)
    waited = delivery.waited_seconds + delay_seconds
    if not _is_retryable(error):
        _give_up(delivery, error, None)
    elif delivery.attempts > policy.get("MaximumRetryAttempts", RETRIES):
        _give_up(delivery, error, "MaximumRetryAttempts")
    elif waited > policy.get("MaximumEventAgeInSeconds", MAXIMUM_AGE_SECONDS):
        _give_up(delivery, error, "MaximumEventAgeInSeconds")
    else:
        again = replace(delivery, waited_seconds=waited)
        timer = threading.Timer(delivery.running_in.real_seconds(delay_seconds), _attempt, [again])
        timer.daemon = True
        timer.start()


def _is_retryable(error: Exception) -> bool:
    """Throttling and a server's faults are retried; a missing target and a refusal are not."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429
    return isinstance(error, BotoCoreError)


def _give_up(delivery: Delivery, error: Exception, exhausted: str | None) -> None:
    count("FailedInvocations", delivery.rule_name)
    queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
    arguments = (delivery.rule_name, delivery.target["Arn"], delivery.attempts, error)
    if queue is None:
        _log.error("rule %s: the event for %s is lost after %d attempts: %s", *arguments)
        return
    _log.error("rule %s: the event for %s goes to its dead-letter queue after %d attempts: %s", *arguments)
    try:
        _check_policy(delivery, queue)
        deliver(queue, delivery.payload, {"MessageAttributes": _attributes(delivery, error, exhausted)})
        count("InvocationsSentToDlq", delivery.rule_name)
    except Exception:  # noqa: BLE001 - see _attempt
        _log.exception("rule %s: the event is lost: its dead-letter queue %s refuses it", delivery.rule_name, queue)
        count("InvocationsFailedToBeSentToDlq", delivery.rule_name)


def _check_policy(delivery: Delivery, arn: str) -> None:
    """Without a role, a target's own policy must allow EventBridge to deliver for this rule."""
    action = _ACTIONS.get(arn.split(":")[2])
    if action and exists(arn):  # the delivery itself reports a missing target
        authorization.check_service(sessions.EVENTS, delivery.rule_arn, action, arn)


def _attributes(delivery: Delivery, error: Exception, exhausted: str | None) -> dict[str, Any]:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"""
    code = (
        "NO_PERMISSIONS"
        if isinstance(error, authorization.AccessDenied | sessions.CannotAssume)
        else type(error).__name__
    )
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
    values = {
        "RULE_ARN": delivery.rule_arn,
        "TARGET_ARN": delivery.target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": str(error)[:1024] or code,
        "RETRY_ATTEMPTS": str(delivery.attempts - 1),
        "EXHAUSTED_RETRY_CONDITION": exhausted,
    }
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items() if value}


_ACTIONS = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}
_workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="events")
