"""Records under way, and buffers that say when they are due."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Record(NamedTuple):
    """One record as it was put. data: base64, as requests bring it and functions take it. size: its bytes, decoded."""

    id: str
    data: str
    size: int
    arrived_ms: int


class Failure(NamedTuple):
    """A record that cannot be delivered, with Firehose's reason. attempts: invocations made. ended_ms: since 1970."""

    record: Record
    code: str
    message: str
    attempts: int
    ended_ms: int


class Delivered(NamedTuple):
    """What is to be written to the destination. arrived_ms: of the record that it was."""

    data: bytes
    arrived_ms: int


class Buffer(Generic[T]):
    """Holds things until their size or the age of the first says that they are due. Not thread-safe.

    size_bytes, seconds: the limits, in real seconds; they may change at any time.
    """

    def __init__(self, size_bytes: int, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.size_bytes, self.seconds = size_bytes, seconds
        self.bytes = 0
        self._monotonic = monotonic
        self._things: deque[tuple[T, int]] = deque()
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._things)

    def add(self, things: Iterable[tuple[T, int]]) -> None:
        """Take things with their sizes in bytes."""
        if not self._things:
            self._since = self._monotonic()
        for thing in things:
            self._things.append(thing)
            self.bytes += thing[1]

    def seconds_left(self) -> float:
        """Real seconds until something is due, 0 when something is; infinite when nothing is there."""
        if not self._things:
            return float("inf")
        if self.bytes >= self.size_bytes:
            return 0.0
        return max(0.0, self._since + self.seconds - self._monotonic())

    def take(self) -> list[T]:
        """Everything: a batch that fills the buffer goes whole into one object."""
        taken = [thing for thing, _ in self._things]
        self._things.clear()
        self.bytes = 0
        return taken

    def take_some(self) -> list[T]:
        """The oldest things, up to the size (one at least); the age of what stays is counted from now."""
        taken: list[T] = []
        size = 0
        while self._things and (not taken or size + self._things[0][1] <= self.size_bytes):
            thing, bytes_ = self._things.popleft()
            taken.append(thing)
            size += bytes_
        self.bytes -= size
        self._since = self._monotonic()
        return taken
