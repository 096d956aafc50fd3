"""Finds the lines of a CSV chunk that must not reach a CSV parser, where one of them would take good rows with it.

An unclosed quote swallows the rows behind it, a NUL or a bare carriage return splits one, invalid UTF-8 aborts: so they
are told apart beforehand, with vectorised tests that run only where the chunk has such bytes at all.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from usher_lake.rows import Fault

BOM = b"\xef\xbb\xbf"

#: RFC 4180, one line: fields without quotes, or quoted whole with inner quotes doubled.
_WELL_QUOTED = r'^(?s:[^",]*|"[^"]*(?:""[^"]*)*")(?:,(?:[^",]*|"[^"]*(?:""[^"]*)*"))*\r?$'

BLANK = Fault("", "is blank")


def is_suspect(chunk: bytes) -> bool:
    """Whether any line of the chunk needs a closer look. Blank lines do not: the parser tells them."""
    if b'"' in chunk or b"\0" in chunk:
        return True
    if not chunk.isascii() and (BOM in chunk or not is_utf8(chunk)):
        return True
    return b"\r" in chunk and chunk.count(b"\r") != chunk.count(b"\r\n")


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are valid UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def suspects(chunk: bytes, lines: list[bytes]) -> dict[int, Fault]:
    """The lines to keep from the parser, by index; BLANK ones are no rows at all, the others are bad."""
    column = pa.array(lines, pa.binary())
    found: dict[int, Fault] = {}

    def mark(mask: pa.Array, fault: Fault) -> None:
        for index in pc.indices_nonzero(mask).to_pylist():
            found.setdefault(index, fault)

    mark(pc.is_in(column, pa.array([b"", b"\r"])), BLANK)
    if b"\0" in chunk:
        mark(pc.match_substring(column, b"\0"), Fault("", "has a NUL byte"))
    _mark_invalid_utf8(chunk, lines, found)
    if BOM in chunk:
        mark(pc.starts_with(column, BOM), Fault("", "starts with a byte order mark"))
    if chunk.count(b"\r") != chunk.count(b"\r\n"):
        mark(pc.match_substring_regex(column, "\r."), Fault("", "has a bare carriage return"))
    if b'"' in chunk:
        mark(_badly_quoted(column), Fault("", "has an unclosed or misplaced quote"))
    return found


def _badly_quoted(column: pa.Array) -> pa.Array:
    """The regular expression runs on the lines that have a quote only."""
    quoted = pc.match_substring(column, b'"')
    return pc.and_(quoted, pc.invert(pc.match_substring_regex(pc.if_else(quoted, column, b""), _WELL_QUOTED)))


def _mark_invalid_utf8(chunk: bytes, lines: list[bytes], found: dict[int, Fault]) -> None:
    if is_utf8(chunk):
        return
    for index, line in enumerate(lines):
        if not is_utf8(line):
            found.setdefault(index, Fault("", "is not UTF-8"))
