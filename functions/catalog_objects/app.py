"""Catalog: commits parsed objects to the tables of the lake, many objects in one commit."""

from __future__ import annotations

import functools
import os
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.runs.trigger import check_later
from usher.schema.settings import Settings
from usher.sqs_batches import answer
from usher.store.ingested_objects import IngestedObjects
from usher.store.run_progress import RunProgress
from usher_lake.commit import catalog_batch
from usher_lake.tables import load_table, open_catalog

logger = Logger(service="catalog_objects")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Input: an SQS batch of {"dataset", "digest"}. Messages whose objects were not committed are redelivered."""
    settings = Settings.read(os.environ, "lake_bucket", "database", "state_table")
    messages = {record["messageId"]: record["body"] for record in event["Records"]}
    result = catalog_batch(
        messages,
        IngestedObjects(dynamodb(), settings.state_table),
        functools.partial(load_table, _catalog(), settings.database),
        settings.lake_bucket,
    )
    logger.info(
        "committed", extra={"objects": len(result.snapshots), "snapshots": sorted(set(result.snapshots.values()))}
    )
    if settings.quiet_queue_url:
        _check_trigger_later(settings)
    return answer(event, result.errors, client("sqs"))


def _check_trigger_later(settings: Settings) -> None:
    """Also when nothing was new: an earlier try of the batch may have crashed before it sent the message."""
    progress = RunProgress.read(dynamodb().Table(settings.state_table))
    check_later(client("sqs"), settings.quiet_queue_url, progress.last_arrival, settings.quiet_seconds)


@functools.cache
def _catalog() -> Any:
    return open_catalog()
