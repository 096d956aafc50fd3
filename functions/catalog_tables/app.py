"""Catalog: the custom resource that makes the tables from the data sets' definition, and keeps them up to date."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client
from usher.custom_resource import answer
from usher.schema.settings import Settings
from usher_lake.tables import ensure_quarantine_table, ensure_tables, open_catalog

logger = Logger(service="catalog_tables")


def handler(event: dict[str, Any], context: Any) -> None:
    """One request of CloudFormation's; it always gets an answer, or the stack would wait for an hour."""
    try:
        data = _delete() if event["RequestType"] == "Delete" else _create_or_update()
    except Exception as error:  # whatever it was, the stack must hear of it
        logger.exception("failed", request=event.get("RequestType"))
        answer(event, context.log_stream_name, reason=f"{type(error).__name__}: {error}")
        return
    answer(event, context.log_stream_name, data=data)


def _create_or_update() -> dict[str, str]:
    settings = Settings.read(os.environ, "lake_bucket", "database")
    done = ensure_tables(open_catalog(), settings.database, settings.lake_bucket)
    done["quarantine"] = ensure_quarantine_table(client("glue"), settings.database, settings.lake_bucket)
    logger.info("tables", extra={"tables": done})
    return done


def _delete() -> dict[str, str]:
    """The lake stays: tables and their rows outlive the stack, and another deployment finds them."""
    return {}
