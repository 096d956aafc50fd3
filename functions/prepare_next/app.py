"""Prepare: records how a run ended, and starts the next run when one is due."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.runs.completion import RunOutcome
from usher.runs.trigger import RunStarter, RunTrigger, TriggerDecision, TriggerRule
from usher.schema.settings import Settings
from usher.sqs_batches import each_message

logger = Logger(service="prepare_next")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """A run's end, sent by its workflow; a batch of the quiet queue; or {}, a plain check."""
    trigger = _trigger(Settings.read(os.environ, "state_table", "train_workflow_arn", "quiet_queue_url"))
    now = int(time.time())
    if "Records" in event:
        return each_message(event, lambda record: _log(trigger.message(record["body"], now)), client("sqs"))
    decision = trigger.completed(RunOutcome.of_workflow(event), now) if "outcome" in event else trigger.check(now)
    _log(decision)
    return {"due": decision.due, "reason": decision.reason}


def _trigger(settings: Settings) -> RunTrigger:
    table = dynamodb().Table(settings.state_table)
    rule = TriggerRule(settings.min_new_rows, settings.quiet_seconds)
    starter = RunStarter(table, client("stepfunctions"), settings.train_workflow_arn, rule)
    return RunTrigger(table, starter, client("sqs"), settings.quiet_queue_url)


def _log(decision: TriggerDecision | None) -> None:
    if decision is not None:
        logger.info("trigger checked", extra={"due": decision.due, "reason": decision.reason})
