"""Evaluate: the gate decides from the evaluation whether the candidate may get traffic."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.runs.gate import judge_run, read_evaluation
from usher.schema.settings import Settings
from usher.store.runs import Runs

logger = Logger(service="evaluate_gate")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Input {run_id, evaluation_uri}; returns {passed, verdict, reason}."""
    settings = Settings.read(os.environ, "lake_bucket", "state_table")
    evaluation = read_evaluation(client("s3"), settings.lake_bucket, event["run_id"])
    runs = Runs(dynamodb().Table(settings.state_table))
    verdict = judge_run(runs, event["run_id"], event["evaluation_uri"], evaluation, settings.min_gate_users)
    logger.info("judged", extra={"run_id": event["run_id"], **verdict})
    return verdict
