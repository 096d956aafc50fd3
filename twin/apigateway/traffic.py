"""AWS/ApiGateway's metrics of one HTTP API, gathered request by request and published in batches."""

from __future__ import annotations

import threading
import time

from twin import context
from twin.cloudwatch.data import Datum, publish

NAMESPACE = "AWS/ApiGateway"
PUBLISH_EVERY_SECONDS = 1.0


class Traffic:
    """One API's requests since the last batch. Thread-safe."""

    def __init__(self, api_id: str) -> None:
        self._dimensions = (("ApiId", api_id),)
        self._lock = threading.Lock()
        self._seen: list[tuple[int, float]] = []
        self._published_at = time.monotonic()

    def count(self, status: int, seconds: float) -> None:
        """One request: the status that was answered, and how long it took."""
        with self._lock:
            self._seen.append((status, seconds))

    def publish(self, *, last: bool = False) -> None:
        """Hand over what was gathered, once a second; `last`: at once."""
        now = time.monotonic()
        if not last and now - self._published_at < PUBLISH_EVERY_SECONDS:
            return
        self._published_at = now
        with self._lock:
            seen, self._seen = self._seen, []
        if seen:
            publish(context.ACCOUNT, context.current().region, NAMESPACE, self._data(seen))

    def _data(self, seen: list[tuple[int, float]]) -> list[Datum]:
        """Errors are 0 or 1 a request, so that their average is a rate, as on AWS."""
        refused = [float(400 <= status < 500) for status, _ in seen]
        failed = [float(status >= 500) for status, _ in seen]
        return [
            Datum("Count", [1.0] * len(seen), "Count", self._dimensions, as_set=True),
            Datum("4xx", refused, "Count", self._dimensions, as_set=True),
            Datum("5xx", failed, "Count", self._dimensions, as_set=True),
            Datum("Latency", [1000.0 * seconds for _, seconds in seen], "Milliseconds", self._dimensions),
        ]
