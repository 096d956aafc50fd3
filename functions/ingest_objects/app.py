"""Ingest: checks landing objects; good rows become Parquet, bad ones go to quarantine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.errors import InputError, ObjectGone
from usher.metrics import count
from usher.schema.settings import Settings
from usher.sqs_batches import each_message
from usher.store.ingested_objects import IngestedObject, IngestedObjects
from usher_lake import sweep
from usher_lake.ingest import ingest_object
from usher_lake.landing import LandingObject, parse_event

SERVICE = "ingest_objects"
logger = Logger(service=SERVICE)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Input: an SQS batch of "Object Created" events and of requests for a sweep."""
    settings = Settings.read(os.environ, "lake_bucket", "state_table", "catalog_queue_url", "ingest_queue_url")
    return each_message(event, lambda record: _ingest(settings, context, record), client("sqs"))


def _ingest(settings: Settings, context: Any, record: Mapping[str, Any]) -> None:
    """Read the object unless its entry exists, and request its commit unless it is committed."""
    ingested = IngestedObjects(dynamodb(), settings.state_table)
    if sweep.is_request(record["body"]):
        sweep.run(client("s3"), client("sqs"), ingested, settings)
        return
    try:
        landing = parse_event(record["body"])
        if landing.is_folder:
            return
        entry = ingested.find(landing.digest) or ingested.record(_read(landing, settings, context))
    except InputError:
        count({"ObjectsRefused": 1}, service=SERVICE, dataset="none")
        raise
    if entry.status in ("parsed", "committing"):
        client("sqs").send_message(QueueUrl=settings.catalog_queue_url, MessageBody=entry.commit_message())


def _read(landing: LandingObject, settings: Settings, context: Any) -> IngestedObject:
    try:
        entry = ingest_object(
            client("s3"), landing, settings.lake_bucket, lambda: context.get_remaining_time_in_millis() / 1000
        )
    except ObjectGone as gone:
        logger.warning("gone", extra={"key": landing.key, "reason": str(gone)})
        count({"ObjectsGone": 1}, service=SERVICE, dataset=landing.dataset)
        return IngestedObject(landing.digest, landing.dataset, landing.bucket, landing.key, "gone")
    logger.info("read", extra=entry.item())
    count(entry.row_counts(), service=SERVICE, dataset=entry.dataset)
    return entry
