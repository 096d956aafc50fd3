"""Cuts a byte stream into chunks of whole physical lines, in memory bounded by the chunk and the longest line allowed.

The chunk size never changes the result for a line: an oversize line is oversize at every chunk size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

#: How much of an oversize line is stored.
HEAD_BYTES = 4096
#: The byte order mark that some editors write at the start of a file.
BOM = b"\xef\xbb\xbf"
BLANK_LINES = [b"", b"\r"]


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are valid UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def split_lines(data: bytes) -> list[bytes]:
    """Whole lines without their newlines."""
    lines = data.split(b"\n")
    lines.pop()
    return lines


@dataclass(frozen=True, slots=True)
class Limits:
    """Memory bounds: the bytes read at once, and the longest line accepted."""

    chunk_bytes: int = 1 << 20
    max_line_bytes: int = 1 << 20


DEFAULT_LIMITS = Limits()


class Source(Protocol):
    """A stream of bytes. damage: after the last byte, why the stream ended too early (None: it is complete)."""

    @property
    def damage(self) -> str | None: ...

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole physical lines, each with its newline; or one line that cannot be a row.

    line:   the number of its first line, from 1.
    offset: the byte at which it starts.
    data:   the lines; of an oversize line its head, of a truncated line all that was read.
    length: the bytes of that one line where `fault` is set, else of all lines.
    fault:  why this single line cannot be a row (None for ordinary lines).
    """

    line: int
    offset: int
    data: bytes
    length: int
    fault: str | None = None


def frames(source: Source, limits: Limits = DEFAULT_LIMITS) -> Iterator[Chunk]:
    """The stream as chunks in order. A last line needs no newline; a line truncated by damage is a fault."""
    framer = _Framer(source, limits.max_line_bytes)
    while data := _fill(source, limits.chunk_bytes):
        yield from framer.feed(data)
    yield from framer.end()


class _Framer:
    def __init__(self, source: Source, max_line_bytes: int) -> None:
        self._source = source
        self._max_line_bytes = max_line_bytes
        self._head_bytes = min(HEAD_BYTES, max_line_bytes)
        self._line = 1
        self._offset = 0
        self._carry = b""
        self._skipped = 0  # bytes already seen of an oversize line whose end has not come

    def feed(self, data: bytes) -> Iterator[Chunk]:
        if self._skipped:
            end = data.find(b"\n")
            if end < 0:
                self._skipped += len(data)
                return
            yield self._oversize(self._carry, self._skipped + end)
            data, self._carry, self._skipped = data[end + 1 :], b"", 0
        data = self._carry + data
        cut = data.rfind(b"\n") + 1
        yield from self._lines(data[:cut])
        self._carry = data[cut:]
        if len(self._carry) > self._max_line_bytes:
            self._skipped = len(self._carry)
            self._carry = self._carry[: self._head_bytes]

    def end(self) -> Iterator[Chunk]:
        if self._source.damage is not None:
            length = self._skipped or len(self._carry)
            yield Chunk(self._line, self._offset, self._carry, length, self._source.damage)
        elif self._skipped:
            yield self._oversize(self._carry, self._skipped)
        elif self._carry:
            yield from self._lines(self._carry + b"\n")

    def _lines(self, data: bytes) -> Iterator[Chunk]:
        """`data` (whole lines) as chunks, oversize lines on their own."""
        start = position = 0
        while position < len(data):
            newline = data.rfind(b"\n", position, position + self._max_line_bytes + 1)
            if newline >= 0:
                position = newline + 1
                continue
            yield from self._chunk(data[start:position])
            end = data.index(b"\n", position)
            yield self._oversize(data[position : position + self._head_bytes], end - position)
            start = position = end + 1
        yield from self._chunk(data[start:])

    def _chunk(self, data: bytes) -> Iterator[Chunk]:
        if data:
            yield Chunk(self._line, self._offset, data, len(data))
            self._line += data.count(b"\n")
            self._offset += len(data)

    def _oversize(self, head: bytes, length: int) -> Chunk:
        chunk = Chunk(self._line, self._offset, head, length, f"is longer than {self._max_line_bytes} bytes")
        self._line += 1
        self._offset += length + 1
        return chunk


def _fill(source: Source, size: int) -> bytes:
    """Exactly `size` bytes unless the stream ends, however short its reads: chunks are the same each time."""
    data = source.read(size)
    if not data or len(data) == size:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := source.read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
