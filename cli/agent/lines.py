"""Splits a growing file into whole lines, block by block, in bounded memory."""

from __future__ import annotations

import os
from dataclasses import dataclass

#: Bytes per read: some 15,000 short rows.
CHUNK_BYTES = 1 << 20
#: A longer line is not held in memory; only its first bytes go to the file of records that cannot be sent.
LINE_MAX_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """A block of whole lines.

    start: the offset of the first one in the file.
    lines: without their line ends (a carriage return stays).
    ended: False when the (only) line has no line end yet.
    """

    start: int
    lines: list[bytes]
    ended: bool = True


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line longer than LINE_MAX_BYTES. head: its first bytes. end: the offset after the line and its line end."""

    start: int
    end: int
    head: bytes


class LineReader:
    """Reads a file descriptor from an offset. offset: where the next line begins."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self.offset = offset
        self._pending = b""
        self._skipping = 0  # bytes of a line that is too long, read so far

    def read(self) -> Block | TooLong | None:
        """The next lines; None when the file has no further whole line yet."""
        while True:
            at = self.offset + (self._skipping or len(self._pending))
            chunk = os.pread(self._descriptor, CHUNK_BYTES, at)
            if not chunk:
                return None
            found = self._skip(chunk) if self._skipping else self._cut(chunk)
            if found is not None:
                return found

    def rest(self) -> Block | TooLong | None:
        """The rest behind the last line end, as a line: for a file that is no longer written."""
        if self._skipping:
            found = TooLong(self.offset, self.offset + self._skipping, self._pending)
            self.offset, self._pending, self._skipping = found.end, b"", 0
            return found
        return Block(self.offset, [self._pending], ended=False) if self._pending else None

    @property
    def unfinished_bytes(self) -> int:
        """The number of bytes after the last line end."""
        return self._skipping or len(self._pending)

    def _cut(self, chunk: bytes) -> Block | None:
        data = self._pending + chunk
        end = data.rfind(b"\n") + 1
        if not end:
            self._pending = data
            if len(data) > LINE_MAX_BYTES:
                self._skipping, self._pending = len(data), data[:LINE_MAX_BYTES]
            return None
        block = Block(self.offset, data[: end - 1].split(b"\n"))
        self.offset += end
        self._pending = data[end:]
        return block

    def _skip(self, chunk: bytes) -> TooLong | None:
        end = chunk.find(b"\n") + 1
        self._skipping += end or len(chunk)
        if not end:
            return None
        found = TooLong(self.offset, self.offset + self._skipping, self._pending)
        self.offset, self._pending, self._skipping = found.end, b"", 0
        return found
