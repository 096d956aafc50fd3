"""A value that is read again when it is older than its time to live; an old one is better than none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

#: After a failed reading the old value serves so long, in seconds, before the next try.
RETRY_SECONDS = 1.0


class Cached(Generic[Value]):
    """What `read` gives, for `ttl_seconds`; None is never kept. When reading fails, the value before is given again.

    failures: are told the exception of a failed reading, and must not raise.
    last_try: reads more patiently; asked when a reading failed and there is no value to fall back on.
    """

    def __init__(
        self,
        read: Callable[[], Value | None],
        ttl_seconds: float,
        clock: Callable[[], float],
        failures: Callable[[Exception], None],
        last_try: Callable[[], Value | None] | None = None,
    ) -> None:
        self._read, self._ttl, self._clock, self._failures = read, ttl_seconds, clock, failures
        self._last_try = last_try
        self._value: Value | None = None
        self._until = 0.0

    def get(self) -> Value | None:
        """The value, or None: there is none, or it cannot be read and never was."""
        now = self._clock()
        if self._value is not None and now < self._until:
            return self._value
        if not self._took(self._read, now) and self._value is None and self._last_try is not None:
            self._took(self._last_try, now)
        return self._value

    def _took(self, read: Callable[[], Value | None], now: float) -> bool:
        """Whether it could be read; then the value is kept."""
        try:
            self._value = read()
        except Exception as error:  # noqa: BLE001 - whatever it was, the answer goes on without
            self._failures(error)
            self._until = now + RETRY_SECONDS
            return False
        self._until = now + self._ttl
        return True
