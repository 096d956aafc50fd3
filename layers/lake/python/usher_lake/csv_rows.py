"""Reads CSV: every bad line with its number and bytes, all good rows in columns.

pyarrow parses, because it is fast, and this module adds what it lacks. Lines that could damage their neighbours never
reach it, and the rows that it returns are counted against the lines it got, so that a row's index gives its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from usher.schema.datasets import Dataset
from usher_lake.framer import BLANK_LINES, BOM, Chunk, is_utf8, split_lines
from usher_lake.header import Header, HeaderRefused, complete, resolve, spellings, split_header
from usher_lake.reasons import (
    CARRIAGE_RETURN,
    MISPLACED_BOM,
    MISQUOTED,
    NO_HEADER,
    NOT_UTF8,
    NUL_BYTE,
    REPEATED_HEADER,
    UNREADABLE_HEADER,
    Fault,
)
from usher_lake.rows import ParsedRows, all_but, bad_lines, check_rows, numbers_from, one_bad

#: RFC 4180, one line: fields without quotes, or quoted whole with inner quotes doubled.
_WELL_QUOTED = r'^(?s:[^",]*|"[^"]*(?:""[^"]*)*")(?:,(?:[^",]*|"[^"]*(?:""[^"]*)*"))*\r?$'
_BLANK = Fault("", "is blank")


class CsvReader:
    """Reads the chunks of one object. header: known after the first chunk; None when it was refused."""

    def __init__(self, landed_as: Dataset, digest: str) -> None:
        self.header: Header | None = None
        self._landed_as = landed_as
        self._digest = digest
        self._refused: Fault | None = None

    def read(self, chunks: Iterable[Chunk]) -> Iterator[ParsedRows]:
        """The object piece by piece. When the header is refused, every line is bad."""
        for chunk in chunks:
            if chunk.fault is not None:
                if self.header is None and self._refused is None:
                    self._refused = UNREADABLE_HEADER
                yield one_bad(chunk, chunk.fault)
                continue
            has_header = self.header is not None or self._refused is not None
            rest = chunk if has_header else self._take_header(chunk)
            if rest is not None:
                yield self._chunk(rest)

    def _take_header(self, chunk: Chunk) -> Chunk | None:
        """Read the header from the first line that is not blank; the rest of the chunk (None: nothing is left)."""
        bom = len(BOM) if chunk.line == 1 and chunk.data.startswith(BOM) else 0
        start = len(chunk.data) - len(chunk.data[bom:].lstrip(b"\r\n"))
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

    def _chunk(self, chunk: Chunk) -> ParsedRows:
        if self.header is None:
            lines = split_lines(chunk.data)
            faults = dict.fromkeys(range(len(lines)), self._refused or NO_HEADER)
            return _parsed(None, None, chunk, faults, lines)
        suspect = split_lines(chunk.data) if is_suspect(chunk.data) else None
        faults = suspects(chunk.data, suspect) if suspect is not None else {}
        places = None
        work = chunk.data
        rows = chunk.data.count(b"\n") - len(faults)
        if faults and suspect is not None:
            places = [index for index in range(len(suspect)) if index not in faults]
            work = b"".join([suspect[index] + b"\n" for index in places])
        table, invalid = parse(work, rows, self.header)
        faults |= {places[index] if places else index: fault for index, fault in invalid.items()}
        return self._check(self.header, chunk, table, faults, suspect)

    def _check(
        self, header: Header, chunk: Chunk, table: pa.Table, faults: dict[int, Fault], lines: list[bytes] | None
    ) -> ParsedRows:
        """Check the parsed rows. faults: of the lines that are not in the table."""
        numbers = numbers_from(chunk.line, table.num_rows + len(faults))
        if faults:
            numbers = numbers.filter(all_but(faults, len(numbers)))
        raw = {name: table.column(name).combine_chunks() for name in table.column_names}
        repeated = dict.fromkeys(_repeated_headers(header, raw), REPEATED_HEADER)
        checked = check_rows(header.dataset, complete(header, raw, numbers, self._digest), numbers, repeated)
        faults |= {line - chunk.line: fault for line, fault in checked.faults.items()}
        return _parsed(checked.rows, checked.lines, chunk, faults, lines)


def _parsed(
    rows: pa.RecordBatch | None,
    numbers: pa.Array | None,
    chunk: Chunk,
    faults: dict[int, Fault],
    lines: list[bytes] | None,
) -> ParsedRows:
    """The piece with its bad lines. Blank lines are not rows: they are left out, whatever fault was found.

    The parser makes a row of empty fields of a blank line, which always has a fault: every data set has a required
    field.
    """
    if not faults:
        return ParsedRows(rows, numbers, (), 0)
    lines = split_lines(chunk.data) if lines is None else lines
    bad = {index: fault for index, fault in faults.items() if lines[index] not in BLANK_LINES}
    return ParsedRows(rows, numbers, bad_lines(chunk, lines, bad), len(bad))


def is_suspect(chunk: bytes) -> bool:
    """Whether a line of the chunk may have to be kept from the parser. Blank lines alone need not."""
    if b'"' in chunk or b"\0" in chunk:
        return True
    if not chunk.isascii() and (BOM in chunk or not is_utf8(chunk)):
        return True
    return b"\r" in chunk and chunk.count(b"\r") != chunk.count(b"\r\n")


def suspects(chunk: bytes, lines: list[bytes]) -> dict[int, Fault]:
    """The lines to keep from the parser, by index: the blank ones, which are not rows, and the bad ones.

    An unclosed quote swallows the following rows, a NUL or a bare carriage return splits a row, and invalid UTF-8
    aborts the parser. Each test is vectorised and runs only where the chunk has such bytes.
    """
    column = pa.array(lines, pa.binary())
    found: dict[int, Fault] = {}

    def mark(mask: pa.Array, fault: Fault) -> None:
        for index in pc.indices_nonzero(mask).to_pylist():
            found.setdefault(index, fault)

    mark(pc.is_in(column, pa.array(BLANK_LINES)), _BLANK)
    if b"\0" in chunk:
        mark(pc.match_substring(column, b"\0"), NUL_BYTE)
    if not is_utf8(chunk):
        mark(pa.array([not is_utf8(line) for line in lines]), NOT_UTF8)
    if BOM in chunk:
        mark(pc.starts_with(column, BOM), MISPLACED_BOM)
    if chunk.count(b"\r") != chunk.count(b"\r\n"):
        mark(pc.match_substring_regex(column, "\r."), CARRIAGE_RETURN)
    if b'"' in chunk:
        mark(_misquoted(column), MISQUOTED)
    return found


def _misquoted(column: pa.Array) -> pa.Array:
    """The regular expression runs only on the lines that have a quote."""
    quoted = pc.match_substring(column, b'"')
    return pc.and_(quoted, pc.invert(pc.match_substring_regex(pc.if_else(quoted, column, b""), _WELL_QUOTED)))


def _repeated_headers(header: Header, raw: dict[str, pa.Array]) -> list[int]:
    """Rows that repeat the header, in any of its spellings: where all fields are text no other check finds them."""
    first = raw[header.first.name]
    names = sorted({header.names[header.positions[header.first.name]], header.first.name, *header.first.aliases})
    candidates = pc.indices_nonzero(pc.is_in(first, pa.array(names))).to_pylist()
    return [index for index in candidates if _is_header(header, {name: raw[name][index].as_py() for name in raw})]


def _is_header(header: Header, row: dict[str, str]) -> bool:
    return all(row[name].strip().casefold() in spellings(header.dataset.field(name)) for name in header.positions)


def parse(work: bytes, rows: int, header: Header) -> tuple[pa.Table, dict[int, Fault]]:
    """The columns of `rows` lines as strings, and by index the lines that are not one row each.

    Where pyarrow finds more or fewer rows than lines, or fails, the lines are halved until the bad one is alone.
    """
    columns = header.positions | {f"attribute {name}": position for name, position in header.attributes}
    invalid: dict[int, Fault] = {}
    reason = "cannot be parsed"
    if rows:
        try:
            table = _read(work, header, columns, invalid)
            if table.num_rows + len(invalid) == rows:
                return table, invalid
        except pa.ArrowInvalid as error:
            reason = f"cannot be parsed ({str(error).partition(':')[0][:80]})"
    if rows <= 1:
        empty = pa.table({name: pa.array([], pa.string()) for name in columns})
        return empty, {0: Fault("", reason)} if rows else {}
    return _halves(work, rows, header)


def _halves(work: bytes, rows: int, header: Header) -> tuple[pa.Table, dict[int, Fault]]:
    lines = [line + b"\n" for line in split_lines(work)]
    half = rows // 2
    first, first_invalid = parse(b"".join(lines[:half]), half, header)
    second, second_invalid = parse(b"".join(lines[half:]), rows - half, header)
    moved = {index + half: fault for index, fault in second_invalid.items()}
    return pa.concat_tables([first, second]), first_invalid | moved


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
