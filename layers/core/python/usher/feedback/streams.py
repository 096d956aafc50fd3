"""Forwards rows to the lake through Firehose, and returns which ones Firehose did not take."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from usher.feedback.metrics import reason_of

#: The pause before the second attempt; after TRIES attempts the client sends the rows again.
PAUSE_SECONDS = 0.1
TRIES = 2

#: Event id → data set and row.
Rows = Mapping[str, tuple[str, Mapping[str, Any]]]


class Streams:
    """The delivery streams `<prefix><data set>`.

    on_failure: called with the stream, Firehose's reason, and the number of rows.
    """

    def __init__(
        self,
        firehose: Callable[[], Any],
        prefix: str,
        on_failure: Callable[[str, str, int], None],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._firehose, self._prefix, self._on_failure, self._sleep = firehose, prefix, on_failure, sleep

    def forward(self, rows: Rows) -> set[str]:
        """Put up to 100 rows; returns the event ids of those that were not taken. Does not raise AWS errors."""
        lost: set[str] = set()
        for dataset in sorted({dataset for dataset, _ in rows.values()}):
            wanted = [event for event, (other, _) in rows.items() if other == dataset]
            lost |= set(self._put_all(f"{self._prefix}{dataset}", wanted, rows))
        return lost

    def _put_all(self, stream: str, events: list[str], rows: Rows) -> list[str]:
        for attempt in range(TRIES):
            if attempt:
                self._sleep(PAUSE_SECONDS)
            events = self._put(stream, events, (rows[event][1] for event in events))
            if not events:
                break
        return events

    def _put(self, stream: str, events: list[str], rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """The events whose rows were not taken."""
        records = [
            {"Data": json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"} for row in rows
        ]
        firehose = self._firehose()
        try:
            answer = firehose.put_record_batch(DeliveryStreamName=stream, Records=records)
        except (ClientError, BotoCoreError) as error:
            self._on_failure(stream, reason_of(error), len(events))
            return events
        results = answer["RequestResponses"]
        lost = [event for event, one in zip(events, results, strict=True) if "ErrorCode" in one]
        if lost:
            reasons = sorted({str(one["ErrorCode"]) for one in results if "ErrorCode" in one})
            self._on_failure(stream, ", ".join(reasons), len(lost))
        return lost
