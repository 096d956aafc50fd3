"""A matched event on its way to the targets of a rule: in the background, with retries, and never lost silently.

What cannot be delivered goes to the target's dead-letter queue; without one it is an error in the log. Both count
(AWS/Events: Invocations, FailedInvocations, InvocationsSentToDlq).
"""

from __future__ import annotations

import copy
import datetime
import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from twin import context
from twin.cloudwatch.data import Datum, publish
from twin.events import delivery, permissions, transform
from twin.moto_patches.registry import original

RETRIES = 185
MAXIMUM_AGE_SECONDS = 86_400.0
_LONGEST_RETRY_SECONDS = 600.0
_MODELS = "moto.events.models"
# moto gives every event of its own services this id.
_CONSTANT_ID = "17793124-05d4-b198-2fde-7ededc63b103"
_WORKERS = 8

_log = logging.getLogger("usher.twin.events")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one target. attempts: made so far; waited_seconds: AWS's time spent between them."""

    rule_arn: str
    rule_name: str
    target: dict[str, Any]
    payload: str
    running_in: context.Context
    attempts: int = 0
    waited_seconds: float = 0.0


def send_to_targets(self: Any, original_event: dict[str, Any], transform_input: bool = True) -> None:
    """Rule.send_to_targets: only an enabled rule with a pattern that fits; delivers in the background."""
    if self.state == "DISABLED" or self.event_pattern.dump() is None:
        return
    if self.event_pattern.matches_event(original_event):
        dispatch(self, original_event, transform_input)


def dispatch(rule: Any, original_event: dict[str, Any], transform_input: bool = True) -> None:
    """Send an event to all targets of moto's `rule`, whatever its pattern."""
    archives = [target for target in rule.targets if is_archive(target["Arn"])]
    if archives:
        only = copy.copy(rule)
        only.targets = archives
        original(f"{_MODELS}:Rule.send_to_targets")(only, original_event, transform_input)
    event = shaped(original_event)
    received = _iso(original_event.get("ingestion-time"))
    predefined = dict(zip(transform.RESERVED, (rule.arn, rule.name, received), strict=True))
    _count("TriggeredRules", rule.name)
    for target in rule.targets:
        if target in archives:
            continue
        payload = transform.target_input(target, event, predefined)
        _workers.submit(_attempt, Delivery(rule.arn, rule.name, target, payload, context.current()))


def shaped(event: dict[str, Any]) -> dict[str, Any]:
    """An event as AWS hands it on: an id of its own, ISO time, nothing of moto's."""
    ready = {name: value for name, value in event.items() if name != "ingestion-time"}
    ready["time"] = _iso(event.get("time"))
    if event.get("id") in (None, "", _CONSTANT_ID):
        ready["id"] = str(uuid.uuid4())
    return ready


def send(delivery_of: Delivery) -> None:
    """Begin to deliver, in the background."""
    _workers.submit(_attempt, delivery_of)


def is_archive(arn: str) -> bool:
    """moto's own target for an archive, which is not an address."""
    return arn.endswith(":::") and ":events:" in arn


def _attempt(job: Delivery) -> None:
    if job.running_in is not context.current():
        return  # that twin has ended
    job = replace(job, attempts=job.attempts + 1)
    _count("InvocationAttempts", job.rule_name)
    try:
        _permit(job, job.target["Arn"])
        delivery.deliver(job.target["Arn"], job.payload, job.target)
    except Exception as error:  # noqa: BLE001 - nobody waits for this thread: whatever happens has to be dealt with here
        _failed(job, error)
    else:
        _count("Invocations", job.rule_name)


def _failed(job: Delivery, error: Exception) -> None:
    policy = job.target.get("RetryPolicy") or {}
    delay_seconds = min(2.0 ** (job.attempts - 1), _LONGEST_RETRY_SECONDS)
    waited = job.waited_seconds + delay_seconds
    if not _worth_retrying(error):
        _give_up(job, error, None)
    elif job.attempts > policy.get("MaximumRetryAttempts", RETRIES):
        _give_up(job, error, "MaximumRetryAttempts")
    elif waited > policy.get("MaximumEventAgeInSeconds", MAXIMUM_AGE_SECONDS):
        _give_up(job, error, "MaximumEventAgeInSeconds")
    else:
        again = replace(job, waited_seconds=waited)
        timer = threading.Timer(job.running_in.real_seconds(delay_seconds), _attempt, [again])
        timer.daemon = True
        timer.start()


def _worth_retrying(error: Exception) -> bool:
    """Throttling and a server's own faults pass; a target that is not there, or refuses, does not."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429
    return isinstance(error, BotoCoreError)


def _give_up(job: Delivery, error: Exception, exhausted: str | None) -> None:
    _count("FailedInvocations", job.rule_name)
    queue = (job.target.get("DeadLetterConfig") or {}).get("Arn")
    arguments = (job.rule_name, job.target["Arn"], job.attempts, error)
    if queue is None:
        _log.error("rule %s: the event for %s is lost after %d attempts: %s", *arguments)
        return
    _log.error("rule %s: the event for %s goes to its dead-letter queue after %d attempts: %s", *arguments)
    try:
        _permit(job, queue)
        delivery.deliver(queue, job.payload, {"MessageAttributes": _attributes(job, error, exhausted)})
        _count("InvocationsSentToDlq", job.rule_name)
    except Exception:  # noqa: BLE001 - see _attempt
        _log.exception("rule %s: its dead-letter queue %s does not take the event: it is lost", job.rule_name, queue)
        _count("InvocationsFailedToBeSentToDlq", job.rule_name)


def _permit(job: Delivery, arn: str) -> None:
    """A rule delivers in EventBridge's name, unless its target has a role; a schedule always has one."""
    if not job.target.get("RoleArn"):
        permissions.check(arn, permissions.Caller("events.amazonaws.com", job.rule_arn))


def _attributes(job: Delivery, error: Exception, exhausted: str | None) -> dict[str, Any]:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"""
    code = "NO_PERMISSIONS" if isinstance(error, permissions.NotPermitted) else type(error).__name__
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
    values = {
        "RULE_ARN": job.rule_arn,
        "TARGET_ARN": job.target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": str(error)[:1024] or code,
        "RETRY_ATTEMPTS": str(job.attempts - 1),
        "EXHAUSTED_RETRY_CONDITION": exhausted,
    }
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items() if value}


def _count(metric: str, rule_name: str) -> None:
    running = context.current()
    publish(context.ACCOUNT, running.region, "AWS/Events", [Datum(metric, 1.0, "Count", (("RuleName", rule_name),))])


def _iso(moment: Any) -> str:
    if isinstance(moment, str) and moment and not moment.replace(".", "", 1).isdigit():
        return moment
    seconds = float(moment) if moment else datetime.datetime.now(datetime.UTC).timestamp()
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="events")
