"""A cache of one value with a time to live, and an explicit policy for a value that cannot be read again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")

#: After a failed read the stale value is served for this long before the next attempt.
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServeStale(Generic[Value]):
    """Policy: a failed read never reaches the caller, who gets the stale value, or None when there is none.

    on_failure:   called with the exception of each failed read; must not raise.
    last_try:     a more patient read, used when the normal one failed and there is no stale value.
    wait_if_none: wait RETRY_SECONDS for the next attempt even while there is no value; else each `get` tries.
    """

    on_failure: Callable[[Exception], None]
    last_try: Callable[[], Value] | None = None
    wait_if_none: bool = False


class TtlCache(Generic[Value]):
    """Caches the value that `read` returned last for `ttl_seconds`. clock: seconds.

    stale: without a policy a value that is too old is never served: `get` raises what `read` raises, and None is cached
    like any other value. With ServeStale, `get` does not raise, and None is not cached.
    """

    def __init__(
        self,
        read: Callable[[], Value],
        ttl_seconds: float,
        clock: Callable[[], float],
        stale: ServeStale[Value] | None = None,
    ) -> None:
        self._read, self._ttl, self._clock, self._stale = read, ttl_seconds, clock, stale
        self._cached: tuple[float, Value] | None = None
        self._retry_at = 0.0

    def get(self, max_age_seconds: float | None = None) -> Value | None:
        """The value, at most `max_age_seconds` old where that is less than the time to live."""
        now = self._clock()
        max_age = self._ttl if max_age_seconds is None else min(self._ttl, max_age_seconds)
        if self._cached is not None and 0 <= now - self._cached[0] < max_age:
            return self._cached[1]
        if self._stale is None:
            self._cached = (now, self._read())
            return self._cached[1]
        return self._get_or_stale(now, self._stale)

    def _get_or_stale(self, now: float, stale: ServeStale[Value]) -> Value | None:
        waits = self._cached is not None or stale.wait_if_none
        if not (waits and now < self._retry_at):
            read = self._refresh(self._read, now, stale)
            if not read and self._cached is None and stale.last_try is not None:
                self._refresh(stale.last_try, now, stale)
        return None if self._cached is None else self._cached[1]

    def _refresh(self, read: Callable[[], Value], now: float, stale: ServeStale[Value]) -> bool:
        """Whether the value could be read."""
        try:
            value = read()
        except Exception as error:  # noqa: BLE001 - the policy: no failure reaches the caller
            stale.on_failure(error)
            self._retry_at = now + RETRY_SECONDS
            return False
        self._cached = None if value is None else (now, value)
        return True
