"""One file that is sent: its read position, the conversion of its lines, and the check that it is the same file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.agent.checkpoint import SPAN_BYTES, Fingerprint, Position
from cli.agent.lines import LINE_MAX_BYTES, Block, LineReader, TooLong
from cli.agent.rows import Rows, rows_again, rows_for
from cli.errors import CommandError


@dataclass(frozen=True, slots=True)
class Row:
    """A line and the record to send for it.

    record: None for a line that is not sent: a blank line, a header.
    raw:    the line; the first bytes of one longer than LINE_MAX_BYTES.
    end:    the offset after the line. unended: its bytes when it is sent without a line end; `end` is then its start.
    """

    record: bytes | None
    raw: bytes
    start: int
    end: int
    unended: int = 0


class Source:
    """An open file of one data set; the caller closes it."""

    def __init__(
        self, path: Path, dataset: str, descriptor: int, position: Position | None, inherited: str = ""
    ) -> None:
        """position: where to continue, None: at the start. inherited: the header of the file before this one."""
        self.path = path
        self.key = _key(os.fstat(descriptor))
        self.inherited = inherited
        self._dataset = dataset
        self._descriptor = descriptor
        self._ended = position.ended if position else 0
        self._rows: Rows | None = rows_again(position.header, dataset) if position and position.header else None
        self._head: Fingerprint | None = None
        self._reader = LineReader(descriptor, position.offset if position else 0)
        self._seen = self.position(self.offset, self._ended)

    @property
    def offset(self) -> int:
        """The offset after the last whole line that was read."""
        return self._reader.offset

    @property
    def header(self) -> str:
        """The header of the rows, "" when no row has been read yet."""
        return self._rows.header if self._rows else ""

    @property
    def size(self) -> int:
        """The file's size, bytes."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def position(self, offset: int, ended: int = 0) -> Position:
        """The position to store once all before `offset` is acknowledged."""
        head = self._head or Fingerprint.head(self._descriptor, offset)
        if offset >= SPAN_BYTES:
            self._head = head
        tail = Fingerprint.tail(self._descriptor, offset)
        return Position(str(self.path), *self.key, offset, head, tail, ended, self.header)

    def where(self) -> Position:
        """The position of all that was read."""
        return self.position(self.offset, self._ended)

    @property
    def unended(self) -> int:
        """The number of bytes of a last line that were sent without a line end."""
        return self._ended

    @property
    def modified(self) -> int:
        """The time of the last write, nanoseconds since 1970."""
        return os.fstat(self._descriptor).st_mtime_ns

    def intact(self) -> bool:
        """Whether the bytes that were read are unchanged in the file."""
        if self.size < self.offset + self._reader.unfinished_bytes:
            return False
        return self._seen.head.fits(self._descriptor) and self._seen.tail.fits(self._descriptor)

    def seen(self) -> Position:
        """The position of all that was read at the last `remember`."""
        return self._seen

    def remember(self) -> None:
        """Store the fingerprints of the bytes that were read, for `intact`."""
        if self._seen.offset != self.offset:
            self._seen = self.position(self.offset)

    def skip_to_end(self) -> None:
        """Skip to the last line end; the header is still read."""
        for row in self.read():  # only the first block, for the header
            del row
            break
        self._reader = LineReader(self._descriptor, _last_line_end(self._descriptor))

    def read(self) -> Iterator[Row]:
        """The next lines, some 15,000 at a time; empty without a whole line.

        Raises CommandError when the file has another format or holds another data set.
        """
        found = self._reader.read()
        if isinstance(found, Block) and self._ended:
            found = self._after_unended(found)
        if found is not None:
            yield from self._lines(found)

    def rest(self) -> Iterator[Row]:
        """The last line when it has no line end, once, for a file that is no longer written."""
        found = self._reader.rest()
        if found is None or (isinstance(found, Block) and len(found.lines[0]) == self._ended):
            return
        yield from self._lines(found)

    def _after_unended(self, block: Block) -> Block | TooLong | None:
        """The lines after one that was sent without a line end; that line again when it has grown since."""
        sent, self._ended = self._ended, 0
        if len(block.lines[0]) != sent:
            return block
        rest = Block(block.start + sent + 1, block.lines[1:])
        return rest if rest.lines else self._reader.read()

    def _lines(self, found: Block | TooLong) -> Iterator[Row]:
        if isinstance(found, TooLong):
            yield Row(b"", found.head, found.start, found.end)
            return
        start, lines = found.start, found.lines
        while lines and self._rows is None:
            is_row = self._take_first(lines[0])
            if is_row:
                break
            yield Row(None, lines[0], start, start + len(lines[0]) + found.ended)
            start, lines = start + len(lines[0]) + 1, lines[1:]
        if lines and self._rows is not None:
            yield from self._converted(self._rows, start, lines, ended=found.ended)

    def _converted(self, rows: Rows, start: int, lines: list[bytes], *, ended: bool) -> Iterator[Row]:
        for line, record in zip(lines, rows.convert(start, lines), strict=True):
            end = start + len(line) + 1
            if ended:
                yield Row(record, line, start, end)
            else:
                self._ended = len(line)
                yield Row(record, line, start, start, len(line))
            start = end

    def _take_first(self, line: bytes) -> bool:
        """Detect the format from the first line; True when that line is a row."""
        if not line.strip(b"\r \xef\xbb\xbf"):
            return False
        try:
            self._rows, is_header = rows_for(line, self._dataset, self.inherited)
        except CommandError as error:
            raise CommandError(f"{self.path}: {error}") from error
        return not is_header


def open_file(path: Path) -> int:
    """A descriptor of a regular file; OSError (with its name) when it cannot be read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CommandError(f"{path}: not a regular file: name a file, or a pattern in quotes")
    return descriptor


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def key_of(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file at `path`, None when it does not exist."""
    try:
        return _key(path.stat())
    except FileNotFoundError:
        return None


def holds(descriptor: int, position: Position) -> bool:
    """Whether a file holds all bytes that its position counts as delivered."""
    if os.fstat(descriptor).st_size < position.offset:
        return False
    return position.head.fits(descriptor) and position.tail.fits(descriptor)


def _last_line_end(descriptor: int) -> int:
    size = os.fstat(descriptor).st_size
    end = size
    while end > max(0, size - LINE_MAX_BYTES):
        start = max(0, end - (1 << 16))
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0 if size <= LINE_MAX_BYTES else size
