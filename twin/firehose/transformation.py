"""Invokes the transforming function with batches of records, with Firehose's retries, and reads its results.

Source: Amazon Data Firehose Developer Guide, "Transform source data", "Handle failure in data transformation", and the
error codes of "Monitor Amazon Data Firehose using CloudWatch Logs".
"""

from __future__ import annotations

import binascii
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException

from twin.awslambda import pool
from twin.awslambda.invocation import SYNCHRONOUS_PAYLOAD_BYTES, Invocation, Outcome, Throttled
from twin.firehose.configuration import Transformation
from twin.firehose.delivery import SESSION
from twin.firehose.records import Failure, Record
from twin.iam import authorization, sessions
from twin.iam.request import Check

RETRY_SECONDS = 0.25
"""Real seconds before the second try, doubled for each further one: what a function waits for is not scaled either."""

AT_ONCE = 2
"""Invocations of all streams together: five streams would keep five processes of one function, on a laptop."""

_turns = threading.BoundedSemaphore(AT_ONCE)

#: recordId, arrival time and the words around a record in the event.
_AROUND_RECORD_BYTES = 160

_MESSAGES = {
    "Lambda.FunctionError": "The Lambda function was successfully invoked but it returned an error result.",
    "Lambda.FunctionTimedOut": "The Lambda function timed out. Increase the Timeout setting in the Lambda function.",
    "Lambda.InvokeLimitExceeded": "The Lambda concurrent execution limit is exceeded.",
    "Lambda.InvokeAccessDenied": "Access was denied. Ensure that the access policy allows access to the Lambda "
    "function.",
    "Lambda.ResourceNotFound": "The specified Lambda function does not exist.",
    "Lambda.JsonProcessingException": "There was an error parsing returned records from the Lambda function. Ensure "
    "that the returned records follow the status model required by Firehose.",
    "Lambda.MissingRecordId": "One or more record IDs were not returned.",
    "Lambda.DuplicatedRecordId": "Multiple records were returned with the same record ID.",
    "Lambda.ProcessingFailedStatus": "ProcessingFailed status set for record.",
}


class _Failed(Exception):
    """An invocation without results; the text is Firehose's error code."""


@dataclass(slots=True)
class Transformed:
    """The result of a batch.

    delivered: the data of each good record. attempts: invocations made. seconds: they took,
    real ones.
    """

    delivered: list[bytes] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    attempts: int = 0
    seconds: float = 0.0


def count_that_fit(records: Sequence[Record]) -> int:
    """How many of these records, from the first on, go into one invocation's 6 MB; one at least."""
    size = 1024
    for count, record in enumerate(records):
        size += len(record.data) + _AROUND_RECORD_BYTES
        if size > SYNCHRONOUS_PAYLOAD_BYTES and count:
            return count
    return len(records)


def transform(
    settings: Transformation, stream_arn: str, records: Sequence[Record], wait: Callable[[float], bool]
) -> Transformed:
    """Invoke the function until it returns results or the retries are used up.

    wait: waits this many real seconds; False when the stream ends meanwhile.
    """
    done = Transformed()
    pause = RETRY_SECONDS
    while True:
        done.attempts += 1
        began = time.monotonic()
        try:
            answers = _invoke(settings, stream_arn, records)
            done.seconds += time.monotonic() - began
            _sort_results(done, records, answers)
            return done
        except _Failed as failure:
            done.seconds += time.monotonic() - began
            if done.attempts > settings.retries or not wait(pause):
                _fail(done, records, str(failure))
                return done
            pause *= 2


def _invoke(settings: Transformation, stream_arn: str, records: Sequence[Record]) -> dict[str, Any]:
    """The function's results by record id; _Failed with Firehose's code."""
    function_arn = settings.function_arn
    _, _, _, region, account, _, *_ = function_arn.split(":")
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415 - moto is heavy

    payload = json.dumps(event(stream_arn, region, records), separators=(",", ":")).encode()
    asked = [Check(action, function_arn) for action in ("lambda:InvokeFunction", "lambda:GetFunctionConfiguration")]
    try:
        authorization.check_role(settings.role, sessions.FIREHOSE, SESSION, asked)
        function = lambda_backends[account][region].get_function(function_arn)
        with _turns:
            outcome = pool.current().invoke(function, Invocation(payload, function_arn))
    except authorization.AccessDenied as error:
        raise _Failed("Lambda.InvokeAccessDenied") from error
    except UnknownFunctionException as error:
        raise _Failed("Lambda.ResourceNotFound") from error
    except Throttled as error:
        raise _Failed("Lambda.InvokeLimitExceeded") from error
    return _answers(outcome)


def event(stream_arn: str, region: str, records: Sequence[Record]) -> dict[str, Any]:
    """The event of one invocation."""
    return {
        "invocationId": str(uuid.uuid4()),
        "deliveryStreamArn": stream_arn,
        "region": region,
        "records": [
            {"recordId": record.id, "approximateArrivalTimestamp": record.arrived_ms, "data": record.data}
            for record in records
        ],
    }


def _answers(outcome: Outcome) -> dict[str, Any]:
    if outcome.failed:
        raise _Failed("Lambda.FunctionTimedOut" if outcome.status == "timeout" else "Lambda.FunctionError")
    try:
        found = json.loads(outcome.payload)["records"]
        answers = {answer["recordId"]: answer for answer in found}
    except (ValueError, KeyError, TypeError) as error:
        raise _Failed("Lambda.JsonProcessingException") from error
    if len(answers) != len(found):
        raise _Failed("Lambda.DuplicatedRecordId")
    return answers


def _sort_results(done: Transformed, records: Sequence[Record], answers: Mapping[str, Any]) -> None:
    for record in records:
        answer = answers.get(record.id)
        result = answer.get("result") if answer is not None else None
        if answer is None:
            _fail(done, [record], "Lambda.MissingRecordId")
        elif result == "Ok":
            try:
                done.delivered.append(binascii.a2b_base64(answer["data"], strict_mode=True))
            except (binascii.Error, KeyError, TypeError, ValueError):
                _fail(done, [record], "Lambda.JsonProcessingException")
        elif result == "ProcessingFailed":
            _fail(done, [record], "Lambda.ProcessingFailedStatus")
        elif result != "Dropped":
            _fail(done, [record], "Lambda.FunctionError")


def _fail(done: Transformed, records: Sequence[Record], code: str) -> None:
    ended_ms = int(time.time() * 1000)
    done.failed += [Failure(record, code, _MESSAGES[code], done.attempts, ended_ms) for record in records]
