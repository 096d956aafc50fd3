"""Concurrent calls, acknowledged in order, so that a checkpoint never passes an undelivered row."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError, SSLError
from botocore.parsers import ResponseParserError

from cli.agent.batches import Batch
from cli.errors import CommandError, explain, one_line

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 20.0
#: Seconds without progress after which the user is told that the stream rejects records.
TROUBLE_SECONDS = 5.0

#: Error codes (of a call or of one record) worth a retry, as are the HTTP statuses 429 and 500 and above.
PASSING = frozenset({
    "ServiceUnavailableException", "ServiceUnavailable", "Throttling", "ThrottlingException", "ThrottledException",
    "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "InternalFailure", "InternalServerError",
    "InternalServiceError", "RequestTimeout", "RequestTimeoutException", "LimitExceededException",
    "ConcurrentModificationException", "KMSThrottlingException",
})  # fmt: skip


class Stopped(Exception):
    """The agent was stopped before the batch was acknowledged."""


@dataclass(slots=True)
class Tally:
    """Counts of the deliveries so far; several threads write them.

    retries:  repeated calls.  resent: the records in them.
    trouble:  why nothing is acknowledged at present, "" without a problem.
    """

    retries: int = 0
    resent: int = 0
    trouble: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def again(self, records: int) -> None:
        """Count records that are sent again."""
        with self._lock:
            self.retries += 1
            self.resent += records


@dataclass(slots=True)
class Sender:
    """Sends batches to one stream; `send` may run in several threads.

    stopping:      set when the agent ends; waiting batches then fail.
    patience:      seconds without any progress after which a batch fails; None: never.
    """

    firehose: Any
    stream_name: str
    stopping: threading.Event
    patience_seconds: float | None
    tally: Tally = field(default_factory=Tally)
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[float, float], float] = random.uniform

    def send(self, batch: Batch) -> None:
        """Send a batch until all its records are acknowledged.

        Raises Stopped, CommandError (no progress within `patience`, an invalid response) and boto3's errors that no
        retry can repair: stream not found, credentials expired, access denied.
        """
        records: Sequence[bytes] = batch.records
        attempt, since = 0, self.clock()
        while records:
            left, why = self._put(records)
            if len(left) < len(records):
                attempt, since = 0, self.clock()
                self.tally.trouble = ""
            records = left
            if records:
                self._wait(attempt, since, why)
                attempt += 1
                self.tally.again(len(records))

    def _put(self, records: Sequence[bytes]) -> tuple[Sequence[bytes], str]:
        """Make one call; returns the records that it did not deliver, and why."""
        try:
            answer = self.firehose.put_record_batch(
                DeliveryStreamName=self.stream_name, Records=[{"Data": record} for record in records]
            )
        except (ClientError, HTTPClientError, ResponseParserError) as error:
            if not passes(error):
                raise
            return records, explain(error) or one_line(str(error))
        responses = answer["RequestResponses"]
        if not answer.get("FailedPutCount"):
            return (), ""
        if len(responses) != len(records):
            raise CommandError(
                f"{self.stream_name} answered for {len(responses)} of {len(records)} records: check the endpoint"
            )
        failed = [at for at, response in enumerate(responses) if response.get("ErrorCode")]
        why = responses[failed[0]] if failed else {}
        return [records[at] for at in failed], f"{why.get('ErrorCode')}: {why.get('ErrorMessage')}"

    def _wait(self, attempt: int, since: float, why: str) -> None:
        """Sleep before the next attempt; raises when there is no further attempt."""
        waited = self.clock() - since
        if self.patience_seconds is not None and waited >= self.patience_seconds:
            raise CommandError(
                f"{self.stream_name} accepted no record for {waited:.0f} s ({why}): start the agent again later"
            )
        if waited >= TROUBLE_SECONDS:
            self.tally.trouble = why
        longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(attempt, 30))
        if self.stopping.wait(self.jitter(0.0, longest)):
            raise Stopped


def passes(error: Exception) -> bool:
    """Whether a call that failed with this error is worth a retry."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response.get("Error", {}).get("Code") in PASSING or status >= 500 or status == 429
    return not isinstance(error, SSLError)


class Pipeline:
    """Sends batches in `window` threads.

    acknowledged: called in the sending thread with each batch, in the order of sending. At most `window` batches are
                  under way, or delivered and not yet passed to it.
    """

    def __init__(self, sender: Sender, window: int, acknowledged: Callable[[list[Batch]], None]) -> None:
        self._sender = sender
        self._window = window
        self._acknowledged = acknowledged
        self._pool = ThreadPoolExecutor(window, thread_name_prefix="put")
        self._underway: deque[tuple[Batch, Future[None]]] = deque()

    def feed(self, batch: Batch) -> None:
        """Send a batch; waits while the window is full. Raises the error of the oldest batch under way."""
        while len(self._underway) >= self._window:
            self._settle(wait=True)
        self._underway.append((batch, self._pool.submit(self._sender.send, batch)))
        self._settle(wait=False)

    def settle(self) -> None:
        """Report the batches that are acknowledged by now."""
        self._settle(wait=False)

    def drain(self) -> None:
        """Wait for all batches under way. Raises the error of the oldest one."""
        while self._underway:
            self._settle(wait=True)

    def close(self) -> None:
        """End the threads: waiting batches fail, batches that were acknowledged in order are reported."""
        self._sender.stopping.set()
        self._pool.shutdown(wait=True)
        done: list[Batch] = []
        while self._underway and self._underway[0][1].exception() is None:
            done.append(self._underway.popleft()[0])
        self._underway.clear()
        if done:
            self._acknowledged(done)

    def _settle(self, *, wait: bool) -> None:
        done: list[Batch] = []
        try:
            while self._underway and (wait or self._underway[0][1].done()):
                self._underway[0][1].result()
                done.append(self._underway.popleft()[0])
                wait = False
        finally:
            if done:
                self._acknowledged(done)
