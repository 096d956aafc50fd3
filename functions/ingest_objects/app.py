"""Ingest: landing objects become Parquet and quarantine, each with its own verdict."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from usher.errors import InputError, ObjectGone, OutOfTime
from usher.landing import LandingObject, parse_event
from usher.ledger import Entry, Ledger
from usher.records.settings import Settings
from usher_lake.ingest import ingest_object

logger = Logger(service="ingest_objects")

#: An object is not begun with less than this left.
START_SECONDS = 30.0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One SQS batch of "Object Created" events; the messages that failed are named, so that only they come again."""
    failed = [record["messageId"] for record in event["Records"] if not _succeeds(record, context)]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _succeeds(record: dict[str, Any], context: Any) -> bool:
    try:
        landing = parse_event(record["body"])
        if not landing.is_folder:
            _take_in(landing, context)
    except InputError as error:
        logger.error("refused", message_id=record["messageId"], reason=str(error))
        _count("ObjectsRefused", 1, "none")
        return False
    except Exception:  # every record has its own verdict: the others of the batch go on
        logger.exception("failed", message_id=record["messageId"])
        return False
    return True


def _take_in(landing: LandingObject, context: Any) -> None:
    settings, ledger = _settings(), _ledger()
    entry = ledger.find(landing.digest)
    if entry is None:
        if context.get_remaining_time_in_millis() / 1000 < START_SECONDS:
            raise OutOfTime(f"{landing.key} is left to the next invocation")
        entry = _read(landing, settings, context)
        entry = ledger.record(entry)
    if entry.status in ("parsed", "committing"):
        message = json.dumps({"dataset": entry.dataset, "digest": entry.digest})
        _client("sqs").send_message(QueueUrl=settings.catalog_queue_url, MessageBody=message)


def _read(landing: LandingObject, settings: Settings, context: Any) -> Entry:
    try:
        entry = ingest_object(
            _client("s3"), landing, settings.lake_bucket, lambda: context.get_remaining_time_in_millis() / 1000
        )
    except ObjectGone as gone:
        logger.warning("gone", key=landing.key, reason=str(gone))
        _count("ObjectsGone", 1, landing.dataset)
        return Entry(landing.digest, landing.dataset, landing.bucket, landing.key, "gone")
    logger.info("read", **{name: getattr(entry, name) for name in ("key", "dataset", "rows_in", "rows_ok", "rows_bad")})
    _count("RowsIn", entry.rows_in, entry.dataset)
    _count("RowsAccepted", entry.rows_ok, entry.dataset)
    _count("RowsQuarantined", entry.rows_bad, entry.dataset)
    return entry


def _count(name: str, value: int, dataset: str) -> None:
    with single_metric(name, MetricUnit.Count, value, namespace="Usher") as metric:
        metric.add_dimension("dataset", dataset)


@functools.cache
def _settings() -> Settings:
    return Settings.read(os.environ, "lake_bucket", "state_table", "catalog_queue_url")


@functools.cache
def _ledger() -> Ledger:
    return Ledger(boto3.resource("dynamodb"), _settings().state_table)


@functools.cache
def _client(service: str) -> Any:
    return boto3.client(service)  # type: ignore[call-overload]  # any service by name
