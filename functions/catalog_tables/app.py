"""Catalog: the custom resource that creates and updates the tables by the definition of the data sets."""

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
    """Input: a request of CloudFormation. It always gets a response: without one the stack waits for an hour."""
    try:
        data = _delete() if event["RequestType"] == "Delete" else _create_or_update()
    except Exception as error:  # CloudFormation needs a response to every error
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
    """The tables stay: another deployment can use them."""
    return {}
