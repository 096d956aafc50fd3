"""One delivery stream: its buffers, the thread that transforms and delivers them, its error log and its metrics."""

from __future__ import annotations

import binascii
import json
import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from twin import context
from twin.cloudwatch.data import Datum, publish
from twin.firehose import delivery, transformation
from twin.firehose.configuration import MIB, Destination
from twin.firehose.records import Buffer, Delivered, Failure, Incoming, Record
from twin.iam.sessions import CannotAssume

NAMESPACE = "AWS/Firehose"

_UNITS = {"Bytes": "Bytes", "Seconds": "Seconds", "Duration": "Milliseconds", "DataFreshness": "Seconds"}

UNDELIVERED_BYTES = 64 * MIB
"""What a stream holds before it throttles; AWS's limit is a rate, this one is the laptop's memory."""

_PUBLISH_SECONDS = 1.0
_END_SECONDS = 5.0

_log = logging.getLogger("usher.twin.firehose")


class Metrics:
    """Counters and values of one stream until they are published. Thread-safe."""

    def __init__(self, account: str, region: str, stream: str) -> None:
        self._account, self._region = account, region
        self._dimensions = (("DeliveryStreamName", stream),)
        self._lock = threading.Lock()
        self._sums: Counter[str] = Counter()
        self._values: dict[str, list[float]] = defaultdict(list)

    def add(self, **counts: int) -> None:
        """Add to sums; `__` in a name becomes a dot."""
        with self._lock:
            for name, value in counts.items():
                self._sums[name.replace("__", ".")] += value

    def observe(self, name: str, value: float) -> None:
        """Add one value of a metric that is averaged."""
        with self._lock:
            self._values[name].append(value)

    @property
    def waiting(self) -> bool:
        """Whether there is something to publish."""
        return bool(self._sums or self._values)

    def publish(self) -> None:
        """Publish everything since the last call."""
        with self._lock:
            sums, self._sums = self._sums, Counter()
            values, self._values = self._values, defaultdict(list)
        data = [Datum(name, float(value), _unit(name), self._dimensions) for name, value in sums.items()]
        data += [Datum(name, found, _unit(name), self._dimensions) for name, found in values.items()]
        if data:
            publish(self._account, self._region, NAMESPACE, data)


def _unit(name: str) -> str:
    return _UNITS.get(name.rpartition(".")[2].removeprefix("Incoming"), "None" if name.endswith("Success") else "Count")


class Stream:
    """Thread-safe. `accept` takes records, a thread of its own transforms and delivers them until `close`."""

    def __init__(self, arn: str, version: str, destination: Destination) -> None:
        self.arn = arn
        _, _, _, region, account, resource = arn.split(":", 5)
        self.name = resource.rpartition("/")[2]
        self.metrics = Metrics(account, region, self.name)
        self._speed = context.current().speed
        self._lock = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None
        self._at_work_bytes = 0  # taken from `_incoming` and not yet in the next buffer, or delivered
        self._incoming = Incoming(0, 0.0)
        self._outgoing: Buffer[Delivered] = Buffer(0, 0.0)
        self._failures: Buffer[Failure] = Buffer(0, 0.0)
        self.configure(version, destination)

    def configure(self, version: str, destination: Destination) -> None:
        """Apply settings, also to waiting records."""
        with self._lock:
            self.version, self.destination = version, destination
            first = destination.transformation
            self._incoming.size_bytes = first.buffer_bytes if first else destination.buffer_bytes
            self._incoming.seconds = (first.buffer_seconds if first else 0.0) / self._speed
            for buffer in (self._outgoing, self._failures):
                buffer.size_bytes = destination.buffer_bytes
                buffer.seconds = destination.buffer_seconds / self._speed
            self._lock.notify_all()

    @property
    def undelivered_bytes(self) -> int:
        """Bytes that were accepted and are not in S3 yet."""
        return self._incoming.bytes + self._at_work_bytes + self._outgoing.bytes + self._failures.bytes

    @property
    def full(self) -> bool:
        """Whether the stream has to throttle."""
        return self.undelivered_bytes >= UNDELIVERED_BYTES

    def accept(self, data: Sequence[str], sizes: Sequence[int]) -> list[str]:
        """Take records, each base64 and its decoded size in bytes; their ids."""
        now = int(time.time() * 1000)
        with self._lock:
            ids = self._incoming.add(data, sizes, now)
            if self._thread is None and not self._ending:
                self._thread = threading.Thread(target=self._run, name=f"firehose {self.name}", daemon=True)
                self._thread.start()
            self._lock.notify_all()
        return ids

    def close(self, *, wait: bool = True) -> None:
        """End at once and drop undelivered records, as a deleted stream does. wait: for the thread."""
        with self._lock:
            self._ending = True
            self._lock.notify_all()
        if wait and self._thread is not None:
            self._thread.join(_END_SECONDS)
        if self.undelivered_bytes:
            _log.warning("%s ends with %d bytes that were not delivered", self.name, self.undelivered_bytes)

    def _run(self) -> None:
        while self._wait_until_due():
            try:
                self._work()
            except Exception:  # noqa: BLE001 - the stream must outlive whatever one batch does
                _log.exception("%s failed", self.name)
                self._pause(1.0)
        self.metrics.publish()

    def _wait_until_due(self) -> bool:
        """Until a buffer is due; False when the stream ends."""
        while True:
            with self._lock:
                left = min(buffer.seconds_left() for buffer in (self._incoming, self._outgoing, self._failures))
                if self._ending:
                    return False
                if left <= 0:
                    return True
                measured = self.metrics.waiting
                self._lock.wait(min(left, _PUBLISH_SECONDS) if measured or left < float("inf") else None)
            if measured:
                self.metrics.publish()

    def _work(self) -> None:
        with self._lock:
            incoming = self._incoming.take_some() if not self._incoming.seconds_left() else []
            self._at_work_bytes = sum(record.size for record in incoming)
        if incoming:
            self._transform(incoming)
        with self._lock:
            outgoing = self._outgoing.take() if not self._outgoing.seconds_left() else []
            failures = self._failures.take() if not self._failures.seconds_left() else []
            self._at_work_bytes = sum(o.size for o in outgoing) + sum(f.size for f in failures)
        if outgoing:
            self._deliver(outgoing)
        if failures:
            key, body = delivery.errors_object(self.destination, self.name, self.version, failures)
            delivery.put(self.destination, key, body, self._pause, self._log_error)
        with self._lock:
            self._at_work_bytes = 0
        self.metrics.publish()

    def _transform(self, records: list[Record]) -> None:
        settings = self.destination.transformation
        if settings is None:
            done = transformation.Transformed([binascii.a2b_base64(record.data) for record in records])
            self._keep(done, records)
            return
        while records:
            count = transformation.count_that_fit(records)
            done = transformation.transform(settings, self.arn, records[:count], self._wait)
            if self._ending:
                return
            self._report(done, records[:count])
            self._keep(done, records)
            records = records[count:]

    def _keep(self, done: transformation.Transformed, records: Sequence[Record]) -> None:
        good = Delivered(b"".join(done.delivered), len(done.delivered), records[0].arrived_ms)
        with self._lock:
            if good.records:
                self._outgoing.add([good])
            self._failures.add(done.failed)

    def _report(self, done: transformation.Transformed, records: list[Record]) -> None:
        good = len(records) - len(done.failed)
        self.metrics.add(
            SucceedProcessing__Records=good,
            SucceedProcessing__Bytes=sum(r.size for r in records) - sum(f.record.size for f in done.failed),
        )
        self.metrics.observe("ExecuteProcessing.Duration", done.seconds * 1000)
        self.metrics.observe("ExecuteProcessing.Success", good / len(records))
        for code, message in dict.fromkeys((failure.code, failure.message) for failure in done.failed):
            self._log_error(code, message)

    def _deliver(self, batch: list[Delivered]) -> None:
        key, body = delivery.records_object(self.destination, self.name, self.version, batch)
        written = delivery.put(self.destination, key, body, self._pause, self._log_error)
        self.metrics.observe("DeliveryToS3.Success", float(written))
        if written:
            self.metrics.add(
                DeliveryToS3__Records=sum(item.records for item in batch),
                DeliveryToS3__Bytes=sum(item.size for item in batch),
            )
            self.metrics.observe("DeliveryToS3.DataFreshness", max(0.0, time.time() - batch[0].arrived_ms / 1000))
        elif not self._ending:
            _log.error("%s discarded %d records: S3 failed for a day", self.name, len(batch))

    def _pause(self, seconds: float) -> bool:
        """Wait this many of AWS's seconds; False when the stream ends."""
        return self._wait(seconds / self._speed)

    def _wait(self, seconds: float) -> bool:
        """Wait in real seconds; False when the stream ends."""
        with self._lock:
            self._lock.wait_for(lambda: self._ending, seconds)
            return not self._ending

    def _log_error(self, code: str, message: str) -> None:
        """An error, in the twin's log and in the log that the stream was given."""
        _log.warning("%s: %s %s", self.name, code, message)
        if not self.destination.log_group:
            return
        fields: dict[str, Any] = {"deliveryStreamARN": self.arn, "destination": self.destination.bucket}
        fields |= {"deliveryStreamVersionId": self.version, "message": message, "errorCode": code}
        event = {"timestamp": int(time.time() * 1000), "message": json.dumps(fields)}
        names = {"logGroupName": self.destination.log_group, "logStreamName": self.destination.log_stream}
        try:
            delivery.client_of(self.destination.role, "logs").put_log_events(**names, logEvents=[event])
        except (ClientError, BotoCoreError, CannotAssume) as error:
            _log.warning("%s cannot write to its log: %s", self.name, error)
