"""Questions whether a run is due: asked now, or by a message that comes when quiet is due."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from usher.errors import InputError
from usher.start import Answer, Head, Starter, ask_when_quiet, is_overtaken

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

    def delayed(self, body: str, now: int) -> None:
        """A message's question; one that a newer commit has overtaken is dropped, as that commit sent its own."""
        try:
            last_arrival = int(json.loads(body)["last_arrival"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"no question of the quiet queue: {body[:200]!r}") from error
        if not is_overtaken(Head.read(self._table), last_arrival):
            self.now(now)
