"""What readers hand on: good rows as Arrow batches, and the bad with their reason, line and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc


class Bad(NamedTuple):
    """One line (of Parquet: one row) that goes to quarantine.

    field:  the field at fault; "" when the whole line is.
    line:   its number, from 1.
    offset: the byte at which it starts (after decompression); 0 for a row of a Parquet file.
    length: its whole length in bytes, of which `raw` may be only the head.
    raw:    exactly its bytes, without the newline.
    """

    reason: str
    field: str
    line: int
    offset: int
    length: int
    raw: bytes


class Fault(NamedTuple):
    """Why a row is bad: a reason from a small set (so that they can be counted), and the field at fault."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """A piece of an object.

    rows:  the good rows: the data set's fields in their order, checked and in their types.
    lines: the line number of each good row (int64).
    bad:   made as it is read, so that a piece of nothing but bad lines costs no memory; read it once, and wholly.
    bad_rows: how many `bad` gives.
    """

    rows: pa.RecordBatch | None
    lines: pa.Array | None
    bad: Iterable[Bad]
    bad_rows: int


def bad_lines(lines: list[bytes], faults: dict[int, Fault], first_line: int, first_offset: int) -> Iterator[Bad]:
    """The lines at fault, in order, with their numbers and offsets. lines: all of a chunk, without newlines."""
    offset = first_offset
    for index, raw in enumerate(lines):
        fault = faults.get(index)
        if fault is not None:
            yield Bad(fault.reason, fault.field, first_line + index, offset, len(raw), raw)
        offset += len(raw) + 1


_COUNTED = pa.array(range(1 << 16), pa.int64())


def numbers_from(first: int, count: int) -> pa.Array:
    """`first`, `first + 1`, … as int64: the numbers of `count` lines."""
    global _COUNTED  # noqa: PLW0603 - grows to the longest piece, which is bounded by the chunk
    if count > len(_COUNTED):
        _COUNTED = pa.array(range(2 * count), pa.int64())
    return pc.add(_COUNTED.slice(0, count), first)
