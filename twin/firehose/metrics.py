"""The metrics of AWS/Firehose, gathered and published about once a second, so that a put costs a few additions."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict

from twin.cloudwatch.data import Datum, publish

NAMESPACE = "AWS/Firehose"

_UNITS = {"Bytes": "Bytes", "Seconds": "Seconds", "Duration": "Milliseconds", "DataFreshness": "Seconds"}


class Metrics:
    """One stream's. Thread-safe."""

    def __init__(self, account: str, region: str, stream: str) -> None:
        self._account, self._region = account, region
        self._dimensions = (("DeliveryStreamName", stream),)
        self._lock = threading.Lock()
        self._sums: Counter[str] = Counter()
        self._values: dict[str, list[float]] = defaultdict(list)

    def add(self, **counts: int) -> None:
        """Add to sums; `__` in a name stands for its dot."""
        with self._lock:
            for name, value in counts.items():
                self._sums[name.replace("__", ".")] += value

    def observe(self, name: str, value: float) -> None:
        """One value of a metric of which averages count."""
        with self._lock:
            self._values[name].append(value)

    @property
    def waiting(self) -> bool:
        """Whether there is something to publish."""
        return bool(self._sums or self._values)

    def publish(self) -> None:
        """Give to CloudWatch what came since the last time."""
        with self._lock:
            sums, self._sums = self._sums, Counter()
            values, self._values = self._values, defaultdict(list)
        data = [Datum(name, float(value), _unit(name), self._dimensions) for name, value in sums.items()]
        data += [Datum(name, found, _unit(name), self._dimensions) for name, found in values.items()]
        if data:
            publish(self._account, self._region, NAMESPACE, data)


def _unit(name: str) -> str:
    return _UNITS.get(name.rpartition(".")[2].removeprefix("Incoming"), "None" if name.endswith("Success") else "Count")
