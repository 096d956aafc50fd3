"""The rows that readers produce: raw columns become checked Arrow batches, and each refused line its fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from usher.schema.datasets import Dataset
from usher_lake.arrow_types import TIME, cast_or_null, row_schema
from usher_lake.checks import check_columns
from usher_lake.framer import Chunk
from usher_lake.reasons import BadRow, Fault

_YEAR = r"\((?P<year>\d{4})\)\s*$"


@dataclass(frozen=True, slots=True)
class ParsedRows:
    """The rows of one piece of an object.

    rows:  the good rows: the data set's fields in their order, checked and in their types.
    lines: the line number of each good row (int64).
    bad:   made as it is read, so that a piece of only bad lines costs no memory; read it once, to its end.
    bad_rows: how many rows `bad` yields.
    """

    rows: pa.RecordBatch | None
    lines: pa.Array | None
    bad: Iterable[BadRow]
    bad_rows: int


class CheckedRows(NamedTuple):
    """rows, lines: the good rows and their line numbers. faults: of the others, by line number."""

    rows: pa.RecordBatch
    lines: pa.Array
    faults: dict[int, Fault]


def check_rows(
    data: Dataset, columns: Mapping[str, pa.Array], lines: pa.Array, faults: dict[int, Fault]
) -> CheckedRows:
    """Check raw columns by the data set's rules. faults: what the reader itself found, by index of the row."""
    checked = check_columns(data, columns, len(lines))
    rows = pa.RecordBatch.from_arrays(_fill_release(data, checked.columns), schema=row_schema(data.name))
    wrong = checked.faults | faults
    if not wrong:
        return CheckedRows(rows, lines, {})
    at = lines.take(pa.array(list(wrong), pa.int64())).to_pylist()
    good = all_but(wrong, len(lines))
    return CheckedRows(rows.filter(good), lines.filter(good), dict(zip(at, wrong.values(), strict=True)))


def _fill_release(data: Dataset, columns: list[pa.Array]) -> list[pa.Array]:
    """Items without `released_at` get the first instant of the year in their title, `Heat (1995)`."""
    names = [field.name for field in data.fields]
    if "released_at" not in names or not columns[names.index("released_at")].null_count:
        return columns
    place = names.index("released_at")
    year = pc.struct_field(pc.extract_regex(columns[names.index("title")], _YEAR), "year")
    first = cast_or_null(pc.binary_join_element_wise(year, "-01-01", ""), pa.timestamp("us"))
    us = first.cast(pa.int64())
    known = pc.greater_equal(us, data.field("released_at").earliest_us)
    derived = pc.if_else(known, us, pa.scalar(None, pa.int64())).cast(TIME)
    return [*columns[:place], pc.coalesce(columns[place], derived), *columns[place + 1 :]]


def all_but(indices: Iterable[int], rows: int) -> pa.Array:
    """A mask of `rows` values: false at these indices, true elsewhere."""
    mask = bytearray(b"\1") * rows
    for index in indices:
        mask[index] = 0
    return pa.Array.from_buffers(pa.uint8(), rows, [None, pa.py_buffer(mask)]).cast(pa.bool_())


def one_bad(chunk: Chunk, reason: str) -> ParsedRows:
    """A chunk of one line that cannot be a row."""
    return ParsedRows(None, None, (BadRow(reason, "", chunk.line, chunk.offset, chunk.length, chunk.data),), 1)


def bad_lines(chunk: Chunk, lines: list[bytes], faults: Mapping[int, Fault]) -> Iterator[BadRow]:
    """The refused lines of a chunk in order. lines: all of them, without newlines. faults: by index of the line."""
    offset = chunk.offset
    for index, raw in enumerate(lines):
        fault = faults.get(index)
        if fault is not None:
            yield BadRow(fault.reason, fault.field, chunk.line + index, offset, len(raw), raw)
        offset += len(raw) + 1


_COUNTED = pa.array(range(1 << 16), pa.int64())


def numbers_from(first: int, count: int) -> pa.Array:
    """`first`, `first + 1`, … as int64: the numbers of `count` lines."""
    global _COUNTED  # noqa: PLW0603 - grows to the longest piece, which is bounded by the chunk
    if count > len(_COUNTED):
        _COUNTED = pa.array(range(2 * count), pa.int64())
    return pc.add(_COUNTED.slice(0, count), first)
