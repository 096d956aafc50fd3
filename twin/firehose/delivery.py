"""Writes a stream's objects to S3: gathered records, and records that failed, each as Firehose forms them."""

from __future__ import annotations

import datetime
import gzip
import json
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from twin.firehose import configuration
from twin.firehose.configuration import Destination
from twin.firehose.records import Delivered, Failure
from twin.iam import sessions

RETRY_SECONDS = 86_400.0
"""AWS's seconds: so long Firehose tries to deliver before it discards data."""

#: The name of the sessions that Firehose opens.
SESSION = "firehose"

PROCESSING_FAILED = "processing-failed"
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0

Wait = Callable[[float], bool]
LogError = Callable[[str, str], None]


def records_object(
    destination: Destination, stream: str, version: str, batch: Sequence[Delivered]
) -> tuple[str, bytes]:
    """Key and body of an object of records."""
    body = b"".join(item.data for item in batch)
    key = configuration.object_key(
        destination.prefix, stream, version, _moment(batch[0].arrived_ms), destination.extension
    )
    return key, gzip.compress(body, 6, mtime=0) if destination.gzip else body


def errors_object(destination: Destination, stream: str, version: str, batch: Sequence[Failure]) -> tuple[str, bytes]:
    """Key and body of an object of failed records: JSON lines."""
    transformation = destination.transformation
    arn = transformation.function_arn if transformation else ""
    lines = [
        json.dumps(
            {
                "attemptsMade": failure.attempts,
                "arrivalTimestamp": failure.record.arrived_ms,
                "errorCode": failure.code,
                "errorMessage": failure.message,
                "attemptEndingTimestamp": failure.ended_ms,
                "rawData": failure.record.data,
                "lambdaArn": arn,
            },
            separators=(",", ":"),
        )
        for failure in batch
    ]
    key = configuration.error_key(
        destination.error_prefix, PROCESSING_FAILED, stream, version, _moment(batch[0].record.arrived_ms)
    )
    return key, "".join(line + "\n" for line in lines).encode()


def put(destination: Destination, key: str, body: bytes, wait: Wait, log_error: LogError) -> bool:
    """Write an object, and try again for a day when S3 fails; whether it was written.

    wait: waits this many of AWS's seconds; False when the stream ends. log_error: takes a code and a message.
    """
    waited, pause = 0.0, _FIRST_PAUSE_SECONDS
    while True:
        try:
            client_of(destination.role, "s3").put_object(Bucket=destination.bucket, Key=key, Body=body)
            return True
        except ClientError as error:
            log_error(f"S3.{error.response['Error']['Code']}", error.response["Error"].get("Message", ""))
        except sessions.CannotAssume as error:
            log_error("S3.AccessDenied", str(error))
        except (BotoCoreError, ResponseParserError) as error:
            log_error("S3.InternalServerError", str(error))
        if waited >= RETRY_SECONDS or not wait(pause):
            return False
        waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE_SECONDS)


def client_of(role: str, service: str) -> Any:
    """A client that calls as Firehose does, with the stream's role; CannotAssume when it may not."""
    return sessions.assume(role, sessions.FIREHOSE, SESSION).client(service)


def _moment(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
