"""Catalog: the custom resources that create and update the tables, and that begin and end a deployment."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.custom_resource import answer, patiently
from usher.runs.stack_changes import forget_endpoint, restore_schedule
from usher.schema.settings import Settings
from usher_lake import sweep
from usher_lake.registration import write_hints
from usher_lake.tables import ensure_quarantine_table, ensure_tables, open_catalog

logger = Logger(service="catalog_tables")


def handler(event: dict[str, Any], context: Any) -> None:
    """Input: a request of CloudFormation. It always gets a response: without one the stack waits for an hour."""
    deleting = event["RequestType"] == "Delete"
    work = _deployment if event.get("ResourceType") == "Custom::UsherDeployment" else _tables
    try:
        settings = Settings.read(os.environ, "lake_bucket", "database", "state_table")
        data = work(event, settings) if deleting else patiently(lambda: work(event, settings))
    except Exception as error:  # CloudFormation needs a response to every error
        logger.exception("failed", request=event.get("RequestType"))
        # A deletion goes on: what this function leaves undone is repaired by the next deployment or by hand.
        answer(event, context.log_stream_name, reason="" if deleting else f"{type(error).__name__}: {error}")
        return
    logger.info("done", extra={"done": data})
    answer(event, context.log_stream_name, data=data)


def _tables(event: dict[str, Any], settings: Settings) -> dict[str, str]:
    """Create and update the tables. Their files stay at a deletion: a new stack registers them again from there."""
    if event["RequestType"] == "Delete":
        return write_hints(client("glue"), client("s3"), settings.database, settings.lake_bucket)
    done = ensure_tables(open_catalog(), settings.database, settings.lake_bucket)
    return done | {"quarantine": ensure_quarantine_table(client("glue"), settings.database, settings.lake_bucket)}


def _deployment(event: dict[str, Any], settings: Settings) -> dict[str, str]:
    """Begin a deployment, follow its updates, end it."""
    table, given = dynamodb().Table(settings.state_table), event["ResourceProperties"]
    if event["RequestType"] == "Delete":
        return forget_endpoint(table, int(time.time()))
    if event["RequestType"] == "Update":
        return restore_schedule(table, client("events"), given["Schedule"])
    return sweep.request(client("sqs"), given["IngestQueue"])
