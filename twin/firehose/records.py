"""Records on their way to S3, and the buffers that hold them until they are due."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar


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

    @property
    def size(self) -> int:
        """The record's."""
        return self.record.size


class Delivered(NamedTuple):
    """What a batch leaves for the destination. records: how many it is of. arrived_ms: of the first."""

    data: bytes
    records: int
    arrived_ms: int

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data)


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


T = TypeVar("T", bound=_Sized)


class _Due:
    """When a buffer is due: by its size, or by the age of the first thing in it. Not thread-safe.

    size_bytes, seconds: the limits, in real seconds; they may change at any time.
    """

    def __init__(self, size_bytes: int, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.size_bytes, self.seconds = size_bytes, seconds
        self.bytes = 0
        self._monotonic = monotonic
        self._since = 0.0

    def __len__(self) -> int:
        raise NotImplementedError

    def seconds_left(self) -> float:
        """Real seconds until something is due, 0 when something is; infinite when nothing is there."""
        if not len(self):
            return float("inf")
        if self.bytes >= self.size_bytes:
            return 0.0
        return max(0.0, self._since + self.seconds - self._monotonic())


class Incoming(_Due):
    """Records that wait for their transformation, in columns: as objects they would dominate garbage collection."""

    def __init__(self, size_bytes: int, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(size_bytes, seconds, monotonic)
        self._data: deque[str] = deque()
        self._sizes: deque[int] = deque()
        self._arrived: deque[int] = deque()
        self._first = 1

    def __len__(self) -> int:
        return len(self._data)

    def add(self, data: Sequence[str], sizes: Sequence[int], arrived_ms: int) -> list[str]:
        """Take records, each base64 and its decoded size; their ids."""
        if not self._data:
            self._since = self._monotonic()
        first = self._first + len(self._data)
        self._data.extend(data)
        self._sizes.extend(sizes)
        self._arrived.extend([arrived_ms] * len(data))
        self.bytes += sum(sizes)
        return [_identity(first + index) for index in range(len(data))]

    def take_some(self) -> list[Record]:
        """The oldest records, up to the size (one at least); the age of what stays is counted from now."""
        taken: list[Record] = []
        size = 0
        while self._data and (not taken or size + self._sizes[0] <= self.size_bytes):
            record = Record(
                _identity(self._first), self._data.popleft(), self._sizes.popleft(), self._arrived.popleft()
            )
            taken.append(record)
            size += record.size
            self._first += 1
        self.bytes -= size
        self._since = self._monotonic()
        return taken


class Buffer(_Due, Generic[T]):
    """Batches or failures that wait to be written as one object."""

    def __init__(self, size_bytes: int, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(size_bytes, seconds, monotonic)
        self._things: list[T] = []

    def __len__(self) -> int:
        return len(self._things)

    def add(self, things: Sequence[T]) -> None:
        """Take things, each with its size in bytes."""
        if not self._things:
            self._since = self._monotonic()
        self._things += things
        self.bytes += sum(thing.size for thing in things)

    def take(self) -> list[T]:
        """Everything: a batch that fills the buffer goes whole into one object."""
        taken, self._things, self.bytes = self._things, [], 0
        return taken


def _identity(number: int) -> str:
    return f"{number:056d}"
