"""Deploy: the first model serves at once; every later one is the challenger of an experiment that opens here."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.experiments.opening import Terms
from usher.experiments.side_effects import enable_schedule
from usher.runs import deployment
from usher.schema.settings import Settings
from usher.store import popular
from usher.store.runs import Runs

logger = Logger(service="deploy_experiment")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Input {run_id, router_version, model_name, model_package_arn, trained}; returns the variant."""
    settings = Settings.read(os.environ, "lake_bucket", "state_table", "shift_rule_name")
    table = dynamodb().Table(settings.state_table)
    run_id, now = str(event["run_id"]), int(time.time())
    lists = popular.read_lists(client("s3"), settings.lake_bucket, run_id)
    deployment.record(Runs(table), run_id, event)
    router = deployment.place(table, run_id, int(event["router_version"]), Terms.of(settings), now)
    if router.experiment_is_open:
        enable_schedule(client("events"), settings.shift_rule_name)
    if router.models[router.champion] == run_id:
        popular.write_lists(table, run_id, lists)
    logger.info(
        "deployed", extra={"run_id": run_id, "router_version": router.version, "experiment": router.experiment_id}
    )
    return {"variant": router.variant_of(run_id), "router_version": router.version}
