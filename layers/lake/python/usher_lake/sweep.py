"""Finds landing objects that no event has announced, and sends their events again.

EventBridge takes up to five minutes to deliver a bucket's events after they are turned on, and a deleted stack loses
what was in its queues. A new deployment therefore sends itself three delayed messages; each compares the landing bucket
with the state table. https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from usher.errors import UnknownLandingKey
from usher.schema.settings import Settings
from usher.store.ingested_objects import IngestedObjects
from usher_lake.landing import LandingObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

#: After the deployment. SQS delays a message by at most 900 seconds.
DELAYS_SECONDS = (300, 600, 900)
_BODY = json.dumps({"sweep": "landing"})
#: Messages of one SendMessageBatch.
_BATCH = 10
_FINISHED = ("committed", "gone")

logger = Logger(child=True)


def request(sqs: SQSClient, queue_url: str) -> dict[str, str]:
    """Send the delayed messages of a new deployment; what was done."""
    for seconds in DELAYS_SECONDS:
        sqs.send_message(QueueUrl=queue_url, MessageBody=_BODY, DelaySeconds=seconds)
    return {"sweeps": ", ".join(f"{seconds} s" for seconds in DELAYS_SECONDS)}


def is_request(body: str) -> bool:
    """Whether a message of the ingest queue asks for a sweep; any other is an event."""
    return body == _BODY


def run(s3: S3Client, sqs: SQSClient, objects: IngestedObjects, settings: Settings) -> None:
    """Send an event for each object version that is not committed. Ingest is idempotent.

    Keys that belong to no data set are left out: their own events have gone to the dead-letter queue.
    """
    bucket, sent = settings.landing_bucket, 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        listed = {found.digest: found for found in _landing(bucket, page)}
        recorded = objects.find_all(listed)
        missing = [
            found
            for digest, found in listed.items()
            if digest not in recorded or recorded[digest].status not in _FINISHED
        ]
        for start in range(0, len(missing), _BATCH):
            _send(sqs, settings.ingest_queue_url, missing[start : start + _BATCH])
        sent += len(missing)
    logger.info("swept", extra={"bucket": bucket, "sent": sent})


def _landing(bucket: str, page: Any) -> Iterator[LandingObject]:
    for version in page.get("Versions", []):
        version_id = version["VersionId"] if version["VersionId"] != "null" else ""
        found = LandingObject(bucket, version["Key"], version_id, version["ETag"].strip('"'), version["Size"])
        try:
            if not found.is_folder and found.dataset:
                yield found
        except UnknownLandingKey:
            continue


def _send(sqs: SQSClient, queue_url: str, batch: Sequence[LandingObject]) -> None:
    entries: Any = [{"Id": str(number), "MessageBody": json.dumps(event(found))} for number, found in enumerate(batch)]
    failed = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed", [])
    if failed:
        raise OSError(f"SQS did not take {len(failed)} of {len(entries)} messages ({failed[0].get('Message', '')})")


def event(found: LandingObject) -> dict[str, Any]:
    """The event that S3 sends of an object, as far as `landing.parse_event` reads it."""
    announced: dict[str, Any] = {"key": found.key, "size": found.size, "etag": found.etag}
    if found.version_id:
        announced["version-id"] = found.version_id
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": found.bucket}, "object": announced},
    }
