"""Reads JSON lines: a whole chunk in one call where every line has the expected form, else line by line.

The fast path decodes into a structure made from the data set's definition. A chunk with anything else (an id that is a
number, another spelling of a name, an unknown field, a broken line) takes the slow path, which has the same results.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa

from usher.schema.datasets import Dataset, Field, Kind, dataset
from usher_lake.arrow_types import arrow_type
from usher_lake.framer import BLANK_LINES, BOM, Chunk, is_utf8, split_lines
from usher_lake.header import spellings
from usher_lake.reasons import NOT_AN_OBJECT, NOT_JSON, NOT_UTF8, Fault
from usher_lake.rows import ParsedRows, bad_lines, check_rows, numbers_from, one_bad

_PYTHON_TYPES: dict[Kind, Any] = {
    "id": str,
    "text": str,
    "number": float,
    "timestamp": int,
    "text_list": list[str],
    "attributes": dict[str, str],
}
_decode = msgspec.json.Decoder().decode


class JsonReader:
    """Reads the chunks of one object of JSON lines."""

    def __init__(self, landed_as: Dataset) -> None:
        self._data = landed_as
        self._decoder = _decoder(landed_as.name)

    def read(self, chunks: Iterable[Chunk]) -> Iterator[ParsedRows]:
        """The object piece by piece."""
        for chunk in chunks:
            yield self._chunk(_without_bom(chunk)) if chunk.fault is None else one_bad(chunk, chunk.fault)

    def _chunk(self, chunk: Chunk) -> ParsedRows:
        rows = chunk.data.count(b"\n")
        columns = self._quick(chunk.data, rows)
        if columns is not None:
            return self._check(chunk, columns, numbers_from(chunk.line, rows), {}, None)
        lines = split_lines(chunk.data)
        columns, numbers, faults = self._slow(chunk.line, lines)
        return self._check(chunk, columns, numbers, faults, lines)

    def _quick(self, data: bytes, rows: int) -> dict[str, pa.Array] | None:
        """The columns when each line is one object of the expected form, else None.

        Every line starts with { and ends with }: with as many objects as lines, no object spans two lines and no line
        holds two objects.
        """
        ends = data.count(b"}\n") + data.count(b"}\r\n")
        if ends != rows or not data.startswith(b"{") or data.count(b"\n{") != rows - 1:
            return None
        try:
            found = self._decoder.decode_lines(data)
            if len(found) != rows:
                return None
            return {
                field.name: pa.array([getattr(row, field.name) for row in found], _quick_type(field))
                for field in self._data.fields
            }
        except (msgspec.MsgspecError, UnicodeError, pa.ArrowException, OverflowError, RecursionError):
            return None

    def _slow(self, first_line: int, lines: list[bytes]) -> tuple[dict[str, pa.Array], pa.Array, dict[int, Fault]]:
        values: dict[str, list[Any]] = {field.name: [] for field in self._data.fields}
        numbers: list[int] = []
        faults: dict[int, Fault] = {}
        for index, line in enumerate(lines):
            if line in BLANK_LINES:
                continue
            row = read_line(self._data, line)
            if isinstance(row, Fault):
                faults[index] = row
                continue
            numbers.append(first_line + index)
            for name, column in values.items():
                column.append(row.get(name))
        columns = {field.name: pa.array(values[field.name], _slow_type(field)) for field in self._data.fields}
        return columns, pa.array(numbers, pa.int64()), faults

    def _check(
        self,
        chunk: Chunk,
        columns: dict[str, pa.Array],
        numbers: pa.Array,
        faults: dict[int, Fault],
        lines: list[bytes] | None,
    ) -> ParsedRows:
        checked = check_rows(self._data, columns, numbers, {})
        faults |= {line - chunk.line: fault for line, fault in checked.faults.items()}
        if not faults:
            return ParsedRows(checked.rows, checked.lines, (), 0)
        bad = bad_lines(chunk, split_lines(chunk.data) if lines is None else lines, faults)
        return ParsedRows(checked.rows, checked.lines, bad, len(faults))


def _without_bom(chunk: Chunk) -> Chunk:
    """The first chunk without a byte order mark."""
    if chunk.line > 1 or not chunk.data.startswith(BOM):
        return chunk
    data = chunk.data.removeprefix(BOM)
    return replace(chunk, data=data, offset=len(BOM), length=len(data))


@functools.cache
def _decoder(name: str) -> Any:
    """A decoder of the data set's rows in the expected form; unknown fields are an error where they are attributes."""
    data = dataset(name)
    fields: list[Any] = [
        (field.name, _PYTHON_TYPES[field.kind])
        if field.required
        else (field.name, _PYTHON_TYPES[field.kind] | None, None)
        for field in data.fields
    ]
    has_attributes = any(field.kind == "attributes" for field in data.fields)
    row = msgspec.defstruct(f"{name}_row", fields, gc=False, kw_only=True, forbid_unknown_fields=has_attributes)
    return msgspec.json.Decoder(row)


def _quick_type(field: Field) -> pa.DataType:
    return pa.int64() if field.kind == "timestamp" else arrow_type(field)


def _slow_type(field: Field) -> pa.DataType:
    """Scalars are strings, so that they are read as those of CSV are."""
    return pa.string() if field.kind in ("id", "text", "number", "timestamp") else arrow_type(field)


def read_line(data: Dataset, line: bytes) -> dict[str, Any] | Fault:
    """One line as values by field, scalars as strings; or why the line is refused."""
    if not is_utf8(line):
        return NOT_UTF8
    try:
        found = _decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return NOT_JSON
    if not isinstance(found, dict):
        return NOT_AN_OBJECT
    row: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    for name, value in found.items():
        field = _names(data.name).get(name.casefold())
        if field is not None and field.name != name and field.name in found:
            continue  # the name itself counts, not its other spelling
        if field is None:
            _put_attribute(attributes, name, value)
        elif (fault := _put(row, field, value)) is not None:
            return fault
    if attributes and "attributes" in {field.name for field in data.fields}:
        row["attributes"] = (row.get("attributes") or {}) | attributes
    return row


@functools.cache
def _names(name: str) -> dict[str, Field]:
    """Every spelling of every field; the first field that has one keeps it."""
    found: dict[str, Field] = {}
    for field in dataset(name).fields:
        for spelling in spellings(field):
            found.setdefault(spelling, field)
    return found


def _put(row: dict[str, Any], field: Field, value: Any) -> Fault | None:
    """Put one value into the row in the form that the checks read; a fault when its JSON type does not fit."""
    if row.get(field.name) is not None:
        return Fault(field.name, "appears twice")
    if value is None:
        return None
    if field.kind == "attributes":
        return _put_attributes(row, value)
    if field.kind == "text_list":
        return _put_list(row, field, value)
    text = _scalar(value)
    if text is None:
        return _unsupported(field.name, value)
    row[field.name] = text
    return None


def _put_list(row: dict[str, Any], field: Field, value: Any) -> Fault | None:
    if isinstance(value, str):
        parts = [] if value in field.nothing else [part for part in value.split("|") if part]
        row[field.name] = parts or None
        return None
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        return Fault(field.name, "is not a list of strings")
    row[field.name] = value
    return None


def _put_attributes(row: dict[str, Any], value: Any) -> Fault | None:
    if not isinstance(value, dict):
        return _unsupported("attributes", value)
    attributes: dict[str, str] = {}
    for name, inner in value.items():
        _put_attribute(attributes, name, inner)
    row["attributes"] = attributes or None
    return None


def _put_attribute(attributes: dict[str, str], name: str, value: Any) -> None:
    """An unknown field as an attribute: a string as it is, anything else as JSON, empty values left out."""
    if value is None or value == "":
        return
    text = _scalar(value)
    attributes[name] = text if text is not None else msgspec.json.encode(value).decode()


def _scalar(value: Any) -> str | None:
    """A string, or a number as a string; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return str(value)


def _unsupported(field: str, value: Any) -> Fault:
    kind = {bool: "boolean", list: "array", dict: "object", str: "string"}.get(type(value), "number")
    return Fault(field, f"has the unsupported JSON type {kind}")
