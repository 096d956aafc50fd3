"""Prepare: the end of a run gives the lock back, and whoever asks learns whether the next run is due."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.clients import client, dynamodb
from usher.runs.completion import Ending
from usher.runs.trigger import Rule, Starter
from usher.runs.trigger_queue import Questions
from usher.schema.settings import Settings
from usher.sqs_batches import each_message

logger = Logger(service="prepare_next")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """A run's end, told by its workflow; a batch of the quiet queue; or {}, a plain question."""
    questions = _questions(Settings.read(os.environ, "state_table", "train_workflow_arn", "quiet_queue_url"))
    now = int(time.time())
    if "Records" in event:
        return each_message(event, lambda record: _log(questions.message(record["body"], now)), client("sqs"))
    answer = questions.ended(Ending.of_workflow(event), now) if "outcome" in event else questions.now(now)
    _log(answer)
    return {"due": answer.due, "reason": answer.reason}


def _questions(settings: Settings) -> Questions:
    table = dynamodb().Table(settings.state_table)
    rule = Rule(settings.min_new_rows, settings.quiet_seconds)
    starter = Starter(table, client("stepfunctions"), settings.train_workflow_arn, rule)
    return Questions(table, starter, client("sqs"), settings.quiet_queue_url)


def _log(answer: Any) -> None:
    if answer is not None:
        logger.info("asked", extra={"due": answer.due, "reason": answer.reason})
