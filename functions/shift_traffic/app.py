"""Shift: each minute the evidence is looked at, and the traffic moves when it says so."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.experiments.controller import Asked, Ticker
from usher.experiments.finishing import finish
from usher.experiments.side_effects import Chores
from usher.experiments.telemetry import told
from usher.schema.settings import Settings

logger = Logger(service="shift_traffic")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Tick's input: {holder, given}, the answer: what is left to do; or Finish's: {finish: experiment_id}."""
    settings = Settings.read(os.environ, "lake_bucket", "state_table", "endpoint_name", "shift_rule_name")
    table = dynamodb().Table(settings.state_table)
    if "finish" in event:
        chores = Chores(table, client("s3"), client("sagemaker"), settings.lake_bucket)
        return {"done": finish(table, chores, str(event["finish"]))}
    clients = {name: client(name) for name in ("sagemaker", "cloudwatch", "events")}
    answer = Ticker(table, clients, settings).tick(Asked.read(event), time.time())
    told(answer, logger)
    return answer.item()
