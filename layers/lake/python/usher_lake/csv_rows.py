"""Reads CSV: the bad lines exactly, all the good rows, in columns.

pyarrow parses, as it is fast; around it stands what it lacks. Lines that could hide others never reach it
(`csv_lines`), and the rows it gives are counted against the lines it got: so a row's index always gives its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from usher.schema.datasets import Dataset
from usher_lake import csv_lines
from usher_lake.checks import check_columns
from usher_lake.derive import complete, fill_release
from usher_lake.framer import Chunk
from usher_lake.header import Header, HeaderRefused, resolve, spellings, split_header
from usher_lake.rows import Bad, Fault, Parsed, bad_lines, numbers_from
from usher_lake.schemas import row_schema

REPEATED_HEADER = Fault("", "repeats the header")


class CsvReader:
    """Reads the chunks of one object. header: known after the first chunk; None when it was refused."""

    def __init__(self, landed_as: Dataset, digest: str) -> None:
        self.header: Header | None = None
        self._landed_as = landed_as
        self._digest = digest
        self._refused: Fault | None = None

    def read(self, chunks: Iterable[Chunk]) -> Iterator[Parsed]:
        """The object piece by piece. Under a header that no data set can be read with, every line is bad."""
        for chunk in chunks:
            if chunk.fault is not None:
                if self.header is None and self._refused is None:
                    self._refused = Fault("", "comes under a header that is no line")
                yield one_bad(chunk, chunk.fault)
                continue
            rest = chunk if self._has_header() else self._take_header(chunk)
            if rest is not None:
                yield self._chunk(rest)

    def _has_header(self) -> bool:
        return self.header is not None or self._refused is not None

    def _take_header(self, chunk: Chunk) -> Chunk | None:
        """Read the header from the first line that is not blank; what is left of the chunk (None: only blanks)."""
        bom = len(csv_lines.BOM) if chunk.line == 1 and chunk.data.startswith(csv_lines.BOM) else 0
        blank = len(chunk.data) - bom - len(chunk.data[bom:].lstrip(b"\r\n"))
        start = bom + blank
        if start == len(chunk.data):
            return None
        end = chunk.data.index(b"\n", start)
        try:
            self.header = resolve(split_header(chunk.data[start:end]), self._landed_as)
        except HeaderRefused as refusal:
            self._refused = Fault(refusal.field, refusal.reason)
            return chunk
        data = chunk.data[end + 1 :]
        line = chunk.line + chunk.data[: end + 1].count(b"\n")
        return replace(chunk, line=line, offset=chunk.offset + end + 1, data=data, length=len(data)) if data else None

    def _chunk(self, chunk: Chunk) -> Parsed:
        if self.header is None:
            return self._all_bad(chunk)
        suspect = csv_lines.is_suspect(chunk.data)
        lines = _split(chunk.data) if suspect else None
        faults = csv_lines.suspects(chunk.data, lines) if lines is not None else {}
        places = None
        work = chunk.data
        rows = chunk.data.count(b"\n") - len(faults)
        if faults and lines is not None:
            places = [index for index in range(len(lines)) if index not in faults]
            work = b"".join([lines[index] + b"\n" for index in places])
        table, invalid = parse(work, rows, self.header)
        faults |= {places[index] if places else index: fault for index, fault in invalid.items()}
        return self._check(chunk, table, faults, lines)

    def _check(self, chunk: Chunk, table: pa.Table, faults: dict[int, Fault], lines: list[bytes] | None) -> Parsed:
        """The parsed rows against the definition. faults: of the lines that gave no row of the table."""
        header = self.header
        assert header is not None  # noqa: S101 - _chunk asks
        numbers = _line_numbers(chunk, table.num_rows, faults)
        raw = {name: table.column(name).combine_chunks() for name in table.column_names}
        checked = check_columns(header.dataset, complete(header, raw, numbers, self._digest), table.num_rows)
        wrong = checked.faults | dict.fromkeys(_repeated_headers(header, raw), REPEATED_HEADER)
        batch = pa.RecordBatch.from_arrays(
            fill_release(header.dataset, checked.columns), schema=row_schema(header.dataset.name)
        )
        if wrong:
            at = numbers.take(pa.array(list(wrong), pa.int64())).to_pylist()
            faults |= {line - chunk.line: fault for line, fault in zip(at, wrong.values(), strict=True)}
            good = _all_but(wrong, table.num_rows)
            batch, numbers = batch.filter(good), numbers.filter(good)
        return _parsed(batch, numbers, chunk, faults, lines)

    def _all_bad(self, chunk: Chunk) -> Parsed:
        refused = self._refused or Fault("", "has no header")
        lines = _split(chunk.data)
        return _parsed(None, None, chunk, dict.fromkeys(range(len(lines)), refused), lines)


def one_bad(chunk: Chunk, reason: str) -> Parsed:
    """A single line that is no record."""
    bad = Bad(reason, "", chunk.line, chunk.offset, chunk.length, chunk.data)
    return Parsed(None, None, (bad,), 1)


def _split(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    lines.pop()
    return lines


def _parsed(
    rows: pa.RecordBatch | None,
    numbers: pa.Array | None,
    chunk: Chunk,
    faults: dict[int, Fault],
    lines: list[bytes] | None,
) -> Parsed:
    """The piece, with the lines at fault by index. A blank line is no row: it is left out, whatever was found wrong.

    The parser makes a row of empty fields of it, so that it is always at fault: every data set has a required field.
    """
    if not faults:
        return Parsed(rows, numbers, (), 0)
    lines = _split(chunk.data) if lines is None else lines
    bad = {index: fault for index, fault in faults.items() if lines[index] not in (b"", b"\r")}
    return Parsed(rows, numbers, bad_lines(lines, bad, chunk.line, chunk.offset), len(bad))


def _line_numbers(chunk: Chunk, rows: int, faults: dict[int, Fault]) -> pa.Array:
    """The line number of each parsed row: all lines of the chunk but those at fault."""
    lines = numbers_from(chunk.line, rows + len(faults))
    return lines.filter(_all_but(faults, rows + len(faults))) if faults else lines


def _all_but(faults: dict[int, Fault], rows: int) -> pa.Array:
    mask = bytearray(b"\1") * rows
    for index in faults:
        mask[index] = 0
    return pa.Array.from_buffers(pa.uint8(), rows, [None, pa.py_buffer(mask)]).cast(pa.bool_())


def _repeated_headers(header: Header, raw: dict[str, pa.Array]) -> list[int]:
    """Rows that are the header again, in any of its spellings: where all is text nothing else would refuse them."""
    first = raw[header.first.name]
    names = sorted({header.names[header.positions[header.first.name]], header.first.name, *header.first.aliases})
    candidates = pc.indices_nonzero(pc.is_in(first, pa.array(names))).to_pylist()
    return [index for index in candidates if _is_header(header, {name: raw[name][index].as_py() for name in raw})]


def _is_header(header: Header, row: dict[str, str]) -> bool:
    return all(row[name].strip().casefold() in spellings(header.dataset.field(name)) for name in header.positions)


def parse(work: bytes, rows: int, header: Header) -> tuple[pa.Table, dict[int, Fault]]:
    """The columns of `rows` lines as text, and by index the lines that cannot be one row.

    Where pyarrow finds more or fewer rows than lines, or gives up, the lines are halved until one is alone.
    """
    columns = _columns(header)
    if not rows:
        return pa.table({name: pa.array([], pa.string()) for name in columns}), {}
    invalid: dict[int, Fault] = {}
    reason = "cannot be parsed"
    try:
        table = _read(work, header, columns, invalid)
        if table.num_rows + len(invalid) == rows:
            return table, invalid
    except pa.ArrowInvalid as error:
        reason = f"cannot be parsed ({str(error).partition(':')[0][:80]})"
    if rows == 1:
        return pa.table({name: pa.array([], pa.string()) for name in columns}), {0: Fault("", reason)}
    return _halves(work, rows, header)


def _halves(work: bytes, rows: int, header: Header) -> tuple[pa.Table, dict[int, Fault]]:
    lines = [line + b"\n" for line in _split(work)]
    half = rows // 2
    first, first_invalid = parse(b"".join(lines[:half]), half, header)
    second, second_invalid = parse(b"".join(lines[half:]), rows - half, header)
    moved = {index + half: fault for index, fault in second_invalid.items()}
    return pa.concat_tables([first, second]), first_invalid | moved


def _columns(header: Header) -> dict[str, int]:
    """The columns to read, by the name they get here."""
    return header.positions | {f"attribute {name}": position for name, position in header.attributes}


def _read(work: bytes, header: Header, columns: dict[str, int], invalid: dict[int, Fault]) -> pa.Table:
    def on_invalid(row: pyarrow.csv.InvalidRow) -> str:
        invalid[row.number - 1] = Fault("", f"has {row.actual_columns} columns instead of {row.expected_columns}")
        return "skip"

    names = [f"unused {position}" for position in range(len(header.names))]
    for name, position in columns.items():
        names[position] = name
    return pyarrow.csv.read_csv(
        pa.BufferReader(work),
        pyarrow.csv.ReadOptions(use_threads=False, block_size=len(work) + 1, column_names=names),
        pyarrow.csv.ParseOptions(newlines_in_values=False, ignore_empty_lines=False, invalid_row_handler=on_invalid),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            include_columns=list(columns),
            check_utf8=False,
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    )
