"""Several calls under way at a time, acknowledged in order: a checkpoint never passes what is not delivered."""

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
#: Without any progress for so long it is said that the stream does not take records.
TROUBLE_SECONDS = 5.0

#: Error codes (of a call or of one record) that time heals; so do all answers of 500 and more, and 429.
PASSING = frozenset({
    "ServiceUnavailableException", "ServiceUnavailable", "Throttling", "ThrottlingException", "ThrottledException",
    "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "InternalFailure", "InternalServerError",
    "InternalServiceError", "RequestTimeout", "RequestTimeoutException", "LimitExceededException",
    "ConcurrentModificationException", "KMSThrottlingException",
})  # fmt: skip


class Stopped(Exception):
    """The agent was told to end before the batch was acknowledged."""


@dataclass(slots=True)
class Tally:
    """What happened so far; several threads write it.

    retries:  calls that repeated something.  resent: records in them.
    trouble:  why nothing is acknowledged at present, "" when things go well.
    """

    retries: int = 0
    resent: int = 0
    trouble: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def again(self, records: int) -> None:
        """Records are sent again."""
        with self._lock:
            self.retries += 1
            self.resent += records


@dataclass(slots=True)
class Sender:
    """Sends batches to one stream; `send` may run in several threads.

    stopping:      set when the agent ends: waiting batches give up then.
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
        """Send until all is acknowledged.

        Raises Stopped, CommandError (no progress within the patience, a senseless answer) and whatever boto3 raises
        that no retry can repair: no such stream, credentials expired, access denied.
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
        """The records that one call did not deliver, and why."""
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
        """Sleep before the next attempt; raises when there is none."""
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
    """Whether an error of a call is worth a repetition."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response.get("Error", {}).get("Code") in PASSING or status >= 500 or status == 429
    return not isinstance(error, SSLError)


class Pipeline:
    """Sends batches in `window` threads.

    acknowledged: is called, in the thread that feeds, with batches in the order in which they were fed. At most
                  `window` batches are on their way or delivered without having been handed to it.
    """

    def __init__(self, sender: Sender, window: int, acknowledged: Callable[[list[Batch]], None]) -> None:
        self._sender = sender
        self._window = window
        self._acknowledged = acknowledged
        self._pool = ThreadPoolExecutor(window, thread_name_prefix="put")
        self._underway: deque[tuple[Batch, Future[None]]] = deque()

    def feed(self, batch: Batch) -> None:
        """Send a batch; waits while the window is full. Raises what the oldest batch under way failed with."""
        while len(self._underway) >= self._window:
            self._settle(wait=True)
        self._underway.append((batch, self._pool.submit(self._sender.send, batch)))
        self._settle(wait=False)

    def settle(self) -> None:
        """Hand over what is acknowledged by now."""
        self._settle(wait=False)

    def drain(self) -> None:
        """Wait for all that is under way. Raises what the oldest batch failed with."""
        while self._underway:
            self._settle(wait=True)

    def close(self) -> None:
        """End: what is still under way gives up its waiting; what was acknowledged in order is handed over."""
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
