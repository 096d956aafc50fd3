"""Catalog: the custom resources that create and update the tables, and that begin and end a deployment."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.custom_resource import answer
from usher.runs.removal import forget_endpoint
from usher.schema.settings import Settings
from usher_lake.registration import write_hints
from usher_lake.tables import ensure_quarantine_table, ensure_tables, open_catalog

logger = Logger(service="catalog_tables")


def handler(event: dict[str, Any], context: Any) -> None:
    """Input: a request of CloudFormation. It always gets a response: without one the stack waits for an hour."""
    deleting = event["RequestType"] == "Delete"
    try:
        settings = Settings.read(os.environ, "lake_bucket", "database", "state_table")
        if event.get("ResourceType") == "Custom::UsherDeployment":
            data = forget_endpoint(dynamodb().Table(settings.state_table), int(time.time())) if deleting else {}
        else:
            data = _release(settings) if deleting else _create_or_update(settings)
    except Exception as error:  # CloudFormation needs a response to every error
        logger.exception("failed", request=event.get("RequestType"))
        # A deletion goes on: what this function leaves undone is repaired by the next deployment or by hand.
        reason = "" if deleting else f"{type(error).__name__}: {error}"
        answer(event, context.log_stream_name, reason=reason)
        return
    answer(event, context.log_stream_name, data=data)


def _create_or_update(settings: Settings) -> dict[str, str]:
    done = ensure_tables(open_catalog(), settings.database, settings.lake_bucket)
    done["quarantine"] = ensure_quarantine_table(client("glue"), settings.database, settings.lake_bucket)
    logger.info("tables", extra={"tables": done})
    return done


def _release(settings: Settings) -> dict[str, str]:
    """The tables' files stay: a new stack registers them again from here."""
    return write_hints(client("glue"), client("s3"), settings.database, settings.lake_bucket)
