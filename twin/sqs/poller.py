"""Polls the queue of one event source mapping: gathers batches, invokes the function, deletes what succeeded."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.sqs.exceptions import QueueDoesNotExist, ReceiptHandleIsInvalid

from twin.awslambda import pool
from twin.awslambda.invocation import SYNCHRONOUS_PAYLOAD_BYTES, Invocation, Throttled
from twin.context import Context
from twin.iam import authorization, sessions
from twin.iam.request import Check
from twin.sqs import batches, queues

CONCURRENCY = 5
"""Simultaneous invocations of a mapping without MaximumConcurrency: AWS starts with five and scales to hundreds."""

# Beyond its time-out, a function needs time to start, and its response to be processed.
_PROCESSING_MARGIN_SECONDS = 90.0
_IDLE_SECONDS = 0.25
_MISSING_SECONDS = 5.0

_log = logging.getLogger("usher.twin.sqs")


class Poller:
    """Runs until `stop`. The settings of the mapping are read again for each batch."""

    def __init__(self, mapping: Any, context: Context) -> None:
        self.mapping = mapping
        self._context = context
        self._stopping = threading.Event()
        self._abandoned = False
        self._slot_free = threading.Condition()
        self._busy = 0
        self._thread = threading.Thread(target=self._run, name=f"sqs {mapping.event_source_arn}", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self, *, abandon: bool = False) -> None:
        """Take no more messages. Gathered batches are still processed, unless the whole twin ends (`abandon`)."""
        self._abandoned = abandon
        self._stopping.set()
        with self._slot_free:
            self._slot_free.notify_all()

    def join(self, seconds: float) -> None:
        """Wait until the polling has ended."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._take_one_batch()
            except (QueueDoesNotExist, UnknownFunctionException) as error:
                arns = self.mapping.event_source_arn, self.mapping.function_arn
                _log.warning("polling %s for %s: %s", *arns, error.message)
                self._stopping.wait(_MISSING_SECONDS)
            except Exception:  # noqa: BLE001 - a failed batch must not end the poller
                _log.exception("polling %s failed", self.mapping.event_source_arn)
                self._stopping.wait(_IDLE_SECONDS)

    def _take_one_batch(self) -> None:
        if not self._wait_for_slot():
            return
        try:
            self._check_role("sqs:ReceiveMessage", "sqs:GetQueueAttributes")
        except authorization.AccessDenied:
            self._stopping.wait(_MISSING_SECONDS)
            return
        gathered = _Gathering(self.mapping, self._context, self._stopping).run()
        if self._abandoned:
            return
        for messages, payload in batches.payloads(gathered.messages, self.mapping.event_source_arn):
            self._wait_for_slot(even_when_stopping=True)
            with self._slot_free:
                self._busy += 1
            work = (messages, payload, gathered.received_at)
            threading.Thread(target=self._process, args=work, name="sqs batch", daemon=True).start()

    def _wait_for_slot(self, *, even_when_stopping: bool = False) -> bool:
        with self._slot_free:
            while self._busy >= ((self.mapping.scaling_config or {}).get("MaximumConcurrency") or CONCURRENCY):
                if self._stopping.is_set() and not even_when_stopping:
                    return False
                self._slot_free.wait(_IDLE_SECONDS)
        return True

    def _process(self, messages: list[Any], payload: bytes, received_at: float) -> None:
        try:
            failed = self._invoke(messages, payload)
            for message in messages:
                if message.id in failed:
                    self._give_back(message, received_at)
                else:
                    self._check_role("sqs:DeleteMessage")
                    name = self.mapping.event_source_arn.split(":")[5]
                    queues.backend_of(self.mapping.event_source_arn).delete_message(name, message.receipt_handle)
        except authorization.AccessDenied:
            pass  # the denial is in the log; the messages become visible again
        except (QueueDoesNotExist, ReceiptHandleIsInvalid):
            _log.info("%s was deleted while a batch was processed", self.mapping.event_source_arn)
        except Exception:  # noqa: BLE001 - no caller waits for this thread; the messages become visible again
            _log.exception("a batch of %s failed", self.mapping.event_source_arn)
        finally:
            with self._slot_free:
                self._busy -= 1
                self._slot_free.notify_all()

    def _check_role(self, *actions: str) -> None:
        """AccessDenied when the function's role may not do what Lambda does with it for this queue."""
        function = _function(self.mapping)
        asked = [Check(action, self.mapping.event_source_arn) for action in actions]
        authorization.check_role(function.role, sessions.LAMBDA, function.function_name, asked)

    def _invoke(self, messages: list[Any], payload: bytes) -> set[str]:
        ids = {message.id for message in messages}
        try:
            function = _function(self.mapping)
            outcome = pool.current().invoke(function, Invocation(payload, self.mapping.function_arn))
        except UnknownFunctionException:
            _log.error(
                "the function of %s does not exist any more: %s",
                self.mapping.event_source_arn,
                self.mapping.function_arn,
            )
            return ids
        except Throttled:
            return ids
        reports = "ReportBatchItemFailures" in (self.mapping.function_response_types or [])
        failed = batches.failed(ids, outcome.payload, error=outcome.failed, reports=reports)
        if failed:
            _log.warning("%d of %d messages of %s failed", len(failed), len(ids), self.mapping.event_source_arn)
        return failed

    def _give_back(self, message: Any, received_at: float) -> None:
        """Visible again when the queue's visibility time-out, counted from the receive, has passed."""
        queue = queues.find(self.mapping.event_source_arn)
        if queue is None:
            return
        passed = (time.monotonic() - received_at) * self._context.speed
        left = max(0.0, queue.visibility_timeout - passed)
        with queue._messages_lock:
            for known in queue._messages:
                if known.had_receipt_handle(message.receipt_handle):
                    known.change_visibility(left)
            queue._messages_lock.notify_all()


class _Gathering:
    """One batch: starts with the first message, ends when it is full, or its window is over."""

    def __init__(self, mapping: Any, context: Context, stopping: threading.Event) -> None:
        self._mapping = mapping
        self._context = context
        self._stopping = stopping
        self._size = 0
        self.messages: list[Any] = []
        self.received_at = 0.0

    def run(self) -> _Gathering:
        """Gather. `messages` stays empty if no message came for a while."""
        window_seconds = self._context.real_seconds(self._mapping.max_batch_window or 0)
        until = time.monotonic() + _IDLE_SECONDS
        while not self._stopping.is_set() and not self._full():
            began = bool(self.messages)
            self._receive()
            if self.messages and not began:
                self.received_at = time.monotonic()
                until = self.received_at + window_seconds
            left = until - time.monotonic()
            if left <= 0:
                break
            if not self._full():
                self._wait(left)
        return self

    def _full(self) -> bool:
        return len(self.messages) >= self._mapping.batch_size or self._size >= SYNCHRONOUS_PAYLOAD_BYTES

    def _receive(self) -> None:
        """At most ten at a time, as ReceiveMessage does, so that one poller does not empty the queue at once."""
        queue = self._queue()
        count = min(10, self._mapping.batch_size - len(self.messages))
        backend = queues.backend_of(self._mapping.event_source_arn)
        found = backend.receive_message(queue.name, count, 0, self._visibility_seconds(queue), ["All"])
        self.messages += found
        self._size += sum(len(message.body) for message in found)

    def _visibility_seconds(self, queue: Any) -> float:
        """AWS's seconds. The work in a function is not scaled: no message returns while it is processed."""
        window = self._mapping.max_batch_window or 0
        working = window + (_function(self._mapping).timeout + _PROCESSING_MARGIN_SECONDS) * self._context.speed
        return float(max(queue.visibility_timeout, working))

    def _wait(self, seconds: float) -> None:
        queue = self._queue()
        with queue._messages_lock:
            if not queue.messages:
                queue._messages_lock.wait(min(seconds, queues.seconds_to_next(queue)))

    def _queue(self) -> Any:
        queue = queues.find(self._mapping.event_source_arn)
        if queue is None:
            raise QueueDoesNotExist()
        return queue


def _function(mapping: Any) -> Any:
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415 - moto is heavy

    return lambda_backends[mapping.account_id][mapping.region].get_function(mapping.function_arn)
