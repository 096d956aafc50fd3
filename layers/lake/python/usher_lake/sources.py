"""Byte streams in bounded memory: plain, and gzip with several members, damaged ends and a limit of expansion."""

from __future__ import annotations

import zlib
from typing import Any

from usher_lake.framer import Source

GZIP_MAGIC = b"\x1f\x8b"
#: gzip reaches 1,032 to 1; real data stays far below 100.
MAX_GZIP_RATIO = 100
#: Below this the ratio is not limited: a small file of equal rows is harmless.
FREE_GZIP_BYTES = 1 << 30
_INPUT_BYTES = 64 << 10


class Plain:
    """A stream with its head, which was read before to detect the format."""

    def __init__(self, body: Any, head: bytes = b"") -> None:
        self._body = body
        self._head = head

    @property
    def damage(self) -> str | None:
        """The damage of the underlying stream, where it reports any."""
        damage: str | None = getattr(self._body, "damage", None)
        return damage

    def read(self, size: int, /) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return bytes(self._body.read(size))


class Gzip:
    """A gzip stream, decompressed as it is read: at most `size` bytes at a time.

    limit: the bytes to which it may expand before it ends with damage. All bytes before the damage are returned.
    """

    def __init__(self, source: Source, limit: int) -> None:
        self.damage: str | None = None
        self._source = source
        self._limit = limit
        self._given = 0
        self._input = b""
        self._member = _member()
        self._between = True  # no byte of the current member was read
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while not self._ended:
            if not self._input and not self._refill():
                return self._flush()
            if data := self._inflate(size):
                return self._count(data)
        return b""

    def _refill(self) -> bool:
        self._input = self._source.read(_INPUT_BYTES)
        return bool(self._input)

    def _inflate(self, size: int) -> bytes:
        if self._between:
            self._input = self._input.lstrip(b"\0")  # padding between members is allowed
            if not self._input:
                return b""
        self._between = False
        before = self._member.copy()
        try:
            data = self._member.decompress(self._input, size)
        except zlib.error as error:
            return self._salvage(before, size, error)
        if self._member.eof:
            self._input = self._member.unused_data
            self._member, self._between = _member(), True
        else:
            self._input = self._member.unconsumed_tail
        return bytes(data)

    def _salvage(self, member: Any, size: int, error: zlib.error) -> bytes:
        """zlib loses its output at damage: decompress byte by byte to get everything before it."""
        parts = []
        try:
            for position in range(len(self._input)):
                parts.append(member.decompress(self._input[position : position + 1], size))
                while member.unconsumed_tail:
                    parts.append(member.decompress(member.unconsumed_tail, size))
        except zlib.error:
            pass
        self._end(f"gzip stream is damaged ({_why(error)})")
        return b"".join(parts)

    def _flush(self) -> bytes:
        self._end(None if self._between else "gzip stream is truncated")
        return b""

    def _count(self, data: bytes) -> bytes:
        self._given += len(data)
        if self._given > self._limit:
            data = data[: len(data) - (self._given - self._limit)]
            self._end(f"expands to more than {self._limit} bytes, too much for its compressed size: split the file")
        return data

    def _end(self, damage: str | None) -> None:
        self._ended, self.damage = True, damage


def _member() -> Any:
    return zlib.decompressobj(wbits=31)


def _why(error: zlib.error) -> str:
    return str(error).rpartition(": ")[2] or "invalid data"


def gzip_limit(compressed_bytes: int) -> int:
    """The bytes to which a gzip object of that size may expand."""
    return max(FREE_GZIP_BYTES, MAX_GZIP_RATIO * compressed_bytes)
