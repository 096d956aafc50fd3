"""SageMaker's status-change events on the default event bus of EventBridge."""

from __future__ import annotations

import datetime
import json
import logging
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from twin import context

log = logging.getLogger(__name__)


def send(kind: str, arn: str, detail: dict[str, Any]) -> None:
    """`SageMaker <kind> State Change`: `detail` is what Describe answers, times in milliseconds.

    A fault here is logged and does not end the job.
    """
    entry = {
        "Source": "aws.sagemaker",
        "DetailType": f"SageMaker {kind} State Change",
        "Resources": [arn],
        "Detail": json.dumps(_plain(detail)),
    }
    try:
        answer = context.client("events").put_events(Entries=[entry])
    except (ClientError, BotoCoreError) as error:
        log.error("the event of %s was not sent: %s", arn, error)
        return
    if answer["FailedEntryCount"]:
        log.error("the event of %s was refused: %s", arn, answer["Entries"])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
