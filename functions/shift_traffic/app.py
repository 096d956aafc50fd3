"""Shift: each minute the experiment's evidence is evaluated, and the traffic moves when it decides so."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.experiments.controller import ExperimentController
from usher.experiments.side_effects import SideEffects
from usher.experiments.tick import TickRequest, emit
from usher.schema.settings import Settings

logger = Logger(service="shift_traffic")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Input {holder, given} for a tick, returns what remains to do; or {complete_side_effects: experiment id}."""
    settings = Settings.read(os.environ, "lake_bucket", "state_table", "endpoint_name", "shift_rule_name")
    table = dynamodb().Table(settings.state_table)
    if "complete_side_effects" in event:
        side_effects = SideEffects(table, client("s3"), client("sagemaker"), settings.lake_bucket)
        return {"done": side_effects.complete(str(event["complete_side_effects"]))}
    clients = {name: client(name) for name in ("sagemaker", "cloudwatch", "events")}
    result = ExperimentController(table, clients, settings).tick(TickRequest.read(event), time.time())
    emit(result, logger)
    return result.item()
