"""The quiet queue's messages: questions whether a run is due, asked when quiet is due, and the ends of executions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from usher.errors import InputError
from usher.runs.completion import Ending, end_run
from usher.runs.trigger import Answer, Head, Starter, ask_when_quiet, is_overtaken
from usher.store.run_lock import RunLock
from usher.store.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_sqs import SQSClient


class Questions:
    """Asks the start rule, and again later when only quiet is lacking."""

    def __init__(self, table: Table, starter: Starter, sqs: SQSClient, queue_url: str) -> None:
        self._table = table
        self._starter = starter
        self._sqs = sqs
        self._queue_url = queue_url

    def now(self, now: int) -> Answer:
        """Ask; when time alone is lacking, a message asks again."""
        answer = self._starter.ask(now)
        if answer.wait_seconds:
            ask_when_quiet(self._sqs, self._queue_url, Head.read(self._table).last_arrival, answer.wait_seconds)
        return answer

    def ended(self, ending: Ending, now: int) -> Answer:
        """A run's end: record it, give its lock back, and ask whether the next is due."""
        end_run(Runs(self._table), RunLock(self._table), ending, now)
        return self.now(now)

    def message(self, body: str, now: int) -> Answer | None:
        """A message of the queue: an execution's end (EventBridge), or a delayed question.

        A question that a newer commit has overtaken is dropped, as that commit sent its own. InputError for neither.
        """
        given = _object(body)
        if "detail" in given:
            return self.ended(Ending.of_event(given), now)
        try:
            last_arrival = int(given["last_arrival"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"no question of the quiet queue: {body[:200]!r}") from error
        return None if is_overtaken(Head.read(self._table), last_arrival) else self.now(now)


def _object(body: str) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"no JSON in the quiet queue: {body[:200]!r}") from error
    if not isinstance(given, dict):
        raise InputError(f"no question of the quiet queue: {body[:200]!r}")
    return given
