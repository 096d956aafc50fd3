"""Prepare: the first state of a run plans it, estimates its cost and refuses one over budget or quota."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb, service_quotas
from usher.runs.planner import Planner, RunRequest, with_newest_snapshots
from usher.runs.quotas import QuotaReader
from usher.schema.settings import Settings

logger = Logger(service="prepare_run")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Input {run_id, execution_arn, snapshots, rows}; returns the workflow's `run`."""
    settings = Settings.read(os.environ, "lake_bucket", "database", "state_table", "endpoint_name", "recommender_image")
    table = dynamodb().Table(settings.state_table)
    request = RunRequest.read(with_newest_snapshots(event, table))
    quotas = QuotaReader(service_quotas())
    planner = Planner(table, client("s3"), client("glue"), client("ecr"), settings, quotas, logger.warning)
    run = planner.prepare(request, int(time.time()))
    logger.info("planned", extra={"run_id": request.run_id, "variants": run["variants"], "rows": request.rows})
    return run
