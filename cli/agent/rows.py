"""Converts each row to a JSON line: JSON lines stay as they are, CSV rows get the names of their header.

Values are written in the form that ingest reads fastest, where it certainly means the same; any other value is written
as text, which ingest reads as in a CSV file. A line that does not fit its header is sent
unchanged: ingest refuses it and keeps its bytes in quarantine.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from json.encoder import encode_basestring
from typing import NamedTuple, Protocol

from cli.errors import CommandError
from cli.uploads.recognise import PERSONALIZE, misfit, spellings
from usher.schema.datasets import Dataset, Field, dataset
from usher.schema.interactions import DEFAULT_EVENT_TYPE

BOM = b"\xef\xbb\xbf"
#: The `header` of a file of JSON lines.
JSON_LINES = "{}"
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")
_PLAIN_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}")
_WELL_QUOTED = re.compile(rb'(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*')
_OTHER_FILES = {b"\x1f\x8b": "gzip", b"PAR1": "Parquet", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "Zstandard"}


class Rows(Protocol):
    """Converts the lines of one file to records. header: the header of the file's later lines."""

    header: str

    def convert(self, start: int, lines: Sequence[bytes]) -> Iterator[bytes | None]:
        """The record of each line, with a newline; None for a blank line. start: the first line's offset."""
        ...


class JsonRows:
    """Rows of a file of JSON lines."""

    header = JSON_LINES

    def convert(self, start: int, lines: Sequence[bytes]) -> Iterator[bytes | None]:
        """See Rows."""
        if start == 0 and lines and lines[0].startswith(BOM):
            lines = [lines[0].removeprefix(BOM), *lines[1:]]
        for line in lines:
            row = line.rstrip(b"\r")
            yield row + b"\n" if row.strip() else None


class _Column(NamedTuple):
    """begins: the JSON before the value. value: the JSON of a cell's text, "" for no value."""

    begins: str
    value: Callable[[str], str]


class CsvRows:
    """Rows under a CSV header."""

    def __init__(self, header: str, name: str) -> None:
        """Raises CommandError when the header does not fit the data set."""
        data = dataset(name)
        names = _split_header(header)
        wrong = misfit(names, name)
        if wrong:
            raise CommandError(wrong)
        self.header = header
        self._columns = _columns(data, names)
        self._further = _further(data, names)
        self._count = len(names)
        self._completes = name == "events" and set(names).issuperset(PERSONALIZE)

    def convert(self, start: int, lines: Sequence[bytes]) -> Iterator[bytes | None]:
        """See Rows."""
        header = self.header.encode()
        for line in lines:
            row = line.rstrip(b"\r")
            if not row:
                yield None
            elif row == header:
                yield row + b"\n"  # a repeated header is sent as a row, which ingest refuses and counts
            else:
                yield self._convert(row, start) or row + b"\n"
            start += len(line) + 1

    def _convert(self, line: bytes, offset: int) -> bytes | None:
        values = _split(line)
        if values is None or len(values) != self._count:
            return None
        parts = [
            column.begins + text
            for column, value in zip(self._columns, values, strict=True)
            if column is not None and value and (text := column.value(value))
        ]
        if self._further:
            more = [f"{name}:{encode_basestring(values[at])}" for at, name in self._further if values[at]]
            if more:
                parts.append(f'"attributes":{{{",".join(more)}}}')
        if self._completes:
            parts += self._personalize(line, offset, parts)
        return f"{{{','.join(parts)}}}\n".encode()

    @staticmethod
    def _personalize(line: bytes, offset: int, parts: list[str]) -> list[str]:
        """The event id that Personalize's interactions lack, derived from the line and its place."""
        identity = hashlib.sha256(b"%d %s" % (offset, line)).hexdigest()[:32]
        added = [] if any(part.startswith('"event_id":') for part in parts) else [f'"event_id":"{identity}"']
        if not any(part.startswith('"type":') for part in parts):
            added.append(f'"type":"{DEFAULT_EVENT_TYPE}"')
        return added


def rows_for(line: bytes, name: str, inherited: str) -> tuple[Rows, bool]:
    """How to read a file, by its first line that is not blank, and whether that line is a header.

    inherited: the header of the file before this one, "" without one: a rotated file may have no header of its own.
    Raises CommandError for a file that is neither CSV nor JSON lines, and one whose first line does not fit `name`.
    """
    first = line.removeprefix(BOM).rstrip(b"\r")
    for magic, kind in _OTHER_FILES.items():
        if first.startswith(magic):
            raise CommandError(f"the file is {kind}, the agent reads CSV and JSON lines: send it with `usher upload`")
    if first.lstrip().startswith(b"{"):
        _check_json(first, name)
        return JsonRows(), False
    try:
        return CsvRows(first.decode(), name), True
    except UnicodeDecodeError as error:
        raise CommandError("the first line is not UTF-8: send CSV or JSON lines") from error
    except CommandError:
        if inherited and inherited != JSON_LINES:
            return CsvRows(inherited, name), False
        if inherited == JSON_LINES:
            return JsonRows(), False
        raise


def rows_again(header: str, name: str) -> Rows:
    """How to read a file whose header is known."""
    return JsonRows() if header == JSON_LINES else CsvRows(header, name)


def _check_json(line: bytes, name: str) -> None:
    """Raise CommandError for a file of another data set; ingest handles a malformed first line."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return
    wrong = misfit(tuple(record), name) if isinstance(record, dict) else ""
    if wrong:
        raise CommandError(wrong)


def _split_header(header: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([header], strict=True))]
    except (csv.Error, StopIteration) as error:
        raise CommandError(f"the header cannot be read ({error}): write it as CSV") from error


def _split(line: bytes) -> list[str] | None:
    """The cells of a line; None when it is not CSV."""
    try:
        text = line.decode()
        if '"' not in text:
            return None if "\r" in text else text.split(",")
        return next(csv.reader([text], strict=True)) if _WELL_QUOTED.fullmatch(line) else None
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return None


def _columns(data: Dataset, names: Sequence[str]) -> list[_Column | None]:
    """The column of each name; None when it belongs to no field."""
    fields = [_field(data, name) for name in names]
    known = [field.name for field in fields if field is not None]
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise CommandError(f"two columns of the header are {twice[0]}: rename or remove one")
    return [None if field is None else _Column(f'"{field.name}":', _writer(field)) for field in fields]


def _further(data: Dataset, names: Sequence[str]) -> list[tuple[int, str]]:
    """The columns that become attributes: position, and name as JSON."""
    if not any(field.kind == "attributes" for field in data.fields):
        return []
    further = [(at, name) for at, name in enumerate(names) if name and _field(data, name) is None]
    if len({name for _, name in further}) < len(further):
        raise CommandError("two further columns of the header have the same name: rename one")
    return [(at, encode_basestring(name)) for at, name in further]


def _field(data: Dataset, name: str) -> Field | None:
    return next((f for f in data.fields if f.kind != "attributes" and name.casefold() in spellings(f)), None)


def _writer(field: Field) -> Callable[[str], str]:
    """How to write a cell of the field as JSON."""
    if field.kind == "number":
        return _number
    if field.kind == "timestamp" and field.earliest_us >= 0:  # otherwise four digits are a year, not seconds
        return _integer
    if field.kind == "text_list":
        return lambda text: "" if text in field.nothing else _list(text)
    return encode_basestring


def _number(text: str) -> str:
    return text if _PLAIN_NUMBER.fullmatch(text) else encode_basestring(text)


def _integer(text: str) -> str:
    return text if _PLAIN_INTEGER.fullmatch(text) else encode_basestring(text)


def _list(text: str) -> str:
    parts = [encode_basestring(part) for part in text.split("|") if part]
    return f"[{','.join(parts)}]" if parts else ""
