"""A value read from elsewhere that may be so old and no older, by whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Aged(Generic[Value]):
    """What `read` gave last. Unlike what the read path caches, a value that cannot be read again is not used on."""

    def __init__(self, read: Callable[[], Value], clock: Callable[[], float]) -> None:
        self._read, self._clock = read, clock
        self._kept: tuple[float, Value] | None = None

    def get(self, max_age_seconds: float) -> Value:
        """The value, read again when it is older; whatever `read` raises."""
        now, kept = self._clock(), self._kept
        if kept is None or not 0 <= now - kept[0] <= max_age_seconds:
            kept = self._kept = (now, self._read())
        return kept[1]
