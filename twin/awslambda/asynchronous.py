"""Asynchronous invocations: accepted at once, tried again after an error, and finally sent where they are asked to go.

AWS waits one minute before the first retry and two before the second, in AWS's time. A throttled event is tried again
for up to six hours. What cannot be processed goes to the function's dead-letter queue and its failure destination; an
event that has neither is lost there as here, and counted (AsyncEventsDropped).
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from twin import context
from twin.awslambda import journal, pool
from twin.awslambda.invocation import Invocation, Outcome, Throttled
from twin.events import delivery

RETRIES = 2
RETRY_SECONDS = (60.0, 120.0)
THROTTLED_SECONDS = 1.0
MAXIMUM_AGE_SECONDS = 6 * 3600.0

_log = logging.getLogger("usher.twin.lambda")


@dataclass(frozen=True, slots=True)
class _Event:
    """An accepted event. attempts: calls made. waited_seconds: AWS's time spent in waiting between them."""

    function: Any
    invocation: Invocation
    running_in: context.Context
    attempts: int = 0
    throttled: int = 0
    waited_seconds: float = 0.0


def accept(function: Any, invocation: Invocation) -> None:
    """Take an event; it runs in the background."""
    journal.count(function, "AsyncEventsReceived")
    _submit(_Event(function, invocation, context.current()))


def _submit(event: _Event) -> None:
    if event.running_in is not context.current():  # that twin has ended
        return
    if _exists(event.function):
        _workers.submit(_attempt, event)
    else:
        _log.warning("%s was deleted, its waiting event with it", event.function.function_name)


def _attempt(event: _Event) -> None:
    try:
        _attempt_once(event)
    except Exception:  # noqa: BLE001 - nobody waits for this thread: whatever happens has to be said here
        _log.exception("an event of %s is lost", event.function.function_name)
        journal.count(event.function, "AsyncEventsDropped")


def _attempt_once(event: _Event) -> None:
    try:
        outcome = pool.current().invoke(event.function, event.invocation)
    except Throttled:
        _after_throttling(event)
        return
    event = replace(event, attempts=event.attempts + 1)
    settings = _settings(event.function)
    if not outcome.failed:
        _to_destination(event, outcome, "OnSuccess", "Success")
    elif event.attempts > settings.get("MaximumRetryAttempts", RETRIES):
        _give_up(event, outcome, "RetriesExhausted")
    else:
        _again(event, RETRY_SECONDS[event.attempts - 1], outcome)


def _after_throttling(event: _Event) -> None:
    delay = min(THROTTLED_SECONDS * 2.0**event.throttled, 300.0)
    refused = Outcome(event.invocation.request_id, b'{"errorMessage": "Rate Exceeded."}', failed=True)
    if event.function.reserved_concurrency in (0, "0"):
        _give_up(event, refused, "ZeroReservedConcurrency")
        return
    _again(replace(event, throttled=event.throttled + 1), delay, refused)


def _again(event: _Event, delay_seconds: float, outcome: Outcome) -> None:
    event = replace(event, waited_seconds=event.waited_seconds + delay_seconds)
    if event.waited_seconds > _settings(event.function).get("MaximumEventAgeInSeconds", MAXIMUM_AGE_SECONDS):
        _give_up(event, outcome, "EventAgeExceeded")
        return
    timer = threading.Timer(event.running_in.real_seconds(delay_seconds), _submit, [event])
    timer.daemon = True
    timer.start()


def _give_up(event: _Event, outcome: Outcome, condition: str) -> None:
    sent = _to_destination(event, outcome, "OnFailure", condition)
    target = (getattr(event.function, "dead_letter_config", None) or {}).get("TargetArn")
    if target:
        sent = _send(event, target, event.invocation.payload.decode(), "DeadLetterErrors", _attributes(outcome)) or sent
    if not sent:
        journal.count(event.function, "AsyncEventsDropped")
        _log.error(
            "%s failed %d times (%s) and has no dead-letter queue: its event is lost: %.300s",
            event.function.function_name, event.attempts, condition, outcome.payload.decode(errors="replace"),
        )  # fmt: skip


def _to_destination(event: _Event, outcome: Outcome, which: str, condition: str) -> bool:
    wanted = _settings(event.function).get("DestinationConfig", {}).get(which, {}).get("Destination")
    return bool(wanted) and _send(event, wanted, _record(event, outcome, condition), "DestinationDeliveryFailures")


def _send(event: _Event, arn: str, payload: str, failures: str, options: dict[str, Any] | None = None) -> bool:
    try:
        if ":event-bus/" in arn:
            payload = _as_event(event, payload)
        delivery.deliver(arn, payload, options)
    except Exception:  # noqa: BLE001 - whatever the other service answers, the event must not go silently
        _log.exception("%s: the event cannot be sent to %s", event.function.function_name, arn)
        journal.count(event.function, failures)
        return False
    return True


def _record(event: _Event, outcome: Outcome, condition: str) -> str:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": str(event.function.version)}
    if outcome.failed:
        response["functionError"] = "Unhandled"
    record = {
        "version": "1.0",
        "timestamp": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": event.invocation.request_id,
            "functionArn": f"{':'.join(event.function.function_arn.split(':')[:7])}:{event.function.version}",
            "condition": condition,
            "approximateInvokeCount": event.attempts,
        },
        "requestPayload": json.loads(event.invocation.payload),
        "responseContext": response,
        "responsePayload": json.loads(outcome.payload or b"null"),
    }
    return json.dumps(record)


def _as_event(event: _Event, record: str) -> str:
    detail = json.loads(record)
    kind = "Success" if detail["requestContext"]["condition"] == "Success" else "Failure"
    wrapped = {
        "source": "lambda",
        "detail-type": f"Lambda Function Invocation Result - {kind}",
        "resources": [event.function.function_arn],
        "detail": detail,
    }
    return json.dumps(wrapped)


def _attributes(outcome: Outcome) -> dict[str, Any]:
    """What AWS tells a dead-letter queue beside the event itself."""
    try:
        message = str(json.loads(outcome.payload)["errorMessage"])[:1024]
    except (ValueError, KeyError, TypeError):
        message = "unknown"
    return {
        "MessageAttributes": {
            "RequestID": {"DataType": "String", "StringValue": outcome.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": message or "unknown"},
        }
    }


def _settings(function: Any) -> dict[str, Any]:
    configs = function.event_invoke_config
    return dict(configs[-1].config) if configs else {}


def _exists(function: Any) -> bool:
    """Whether it is still there; moto updates a function in place, so another object is another function."""
    from moto.awslambda.exceptions import UnknownFunctionException  # noqa: PLC0415 - moto is heavy
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415

    try:
        found = lambda_backends[function.account_id][function.region].get_function(function.function_arn)
    except UnknownFunctionException:
        return False
    return bool(found is function)


_workers = ThreadPoolExecutor(pool.CONCURRENCY, thread_name_prefix="lambda event")
