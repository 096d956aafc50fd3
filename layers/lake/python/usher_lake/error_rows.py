"""Reads what Firehose could not have transformed: every line of it is quarantine, with Firehose's reason.

Source of the form: Amazon Data Firehose Developer Guide, "Handle failure in data transformation": JSON lines with
errorCode, errorMessage and rawData (base64), one for each record of the stream.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from usher_lake.framer import Chunk, Limits
from usher_lake.rows import Bad, Parsed

#: A record of 1,000 KiB in base64, with the words around it.
LIMITS = Limits(max_line_bytes=4 << 20)
_NO_ERROR = "is no error record of Firehose"
_BLANK = (b"", b"\r")


class _Error(msgspec.Struct):
    errorCode: str
    rawData: str


_decode: Any = msgspec.json.Decoder(_Error).decode


def read_errors(chunks: Iterable[Chunk]) -> Iterator[Parsed]:
    """The object piece by piece: no good row, and one bad for each line of each record; they are numbered through."""
    number = 1
    for chunk in chunks:
        bad = list(_chunk(chunk, number))
        number += len(bad)
        yield Parsed(None, None, bad, len(bad))


def _chunk(chunk: Chunk, number: int) -> Iterator[Bad]:
    if chunk.fault is not None:
        yield Bad(chunk.fault, "", number, chunk.offset, chunk.length, chunk.data)
        return
    offset = chunk.offset
    for line in chunk.data.removesuffix(b"\n").split(b"\n"):
        for bad in _line(line, number, offset):
            yield bad
            number += 1
        offset += len(line) + 1


def _line(line: bytes, number: int, offset: int) -> Iterator[Bad]:
    """The lines of one record. offset: of the error record in its object."""
    if line in _BLANK:
        return
    try:
        error = _decode(line)
        raw = binascii.a2b_base64(error.rawData, strict_mode=True)
    except (msgspec.MsgspecError, UnicodeError, binascii.Error, RecursionError):
        yield Bad(_NO_ERROR, "", number, offset, len(line), line)
        return
    for place, row in enumerate(row for row in raw.split(b"\n") if row not in _BLANK):
        yield Bad(f"failed in Firehose: {error.errorCode[:80]}", "", number + place, offset, len(row), row)
