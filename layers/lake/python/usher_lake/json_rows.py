"""Reads JSON lines: a whole chunk in one call where every line is as it should be, else line by line.

The quick way decodes into a structure made from the data set's definition. Whatever it cannot take (an id that is a
number, another spelling of a name, a further field, a broken line) goes the slow way, which gives the same verdicts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa

from usher.schema.datasets import Dataset, Field, Kind, dataset
from usher_lake.checks import check_columns
from usher_lake.csv_lines import BOM, is_utf8
from usher_lake.csv_rows import one_bad
from usher_lake.derive import fill_release
from usher_lake.framer import Chunk
from usher_lake.header import spellings
from usher_lake.rows import Fault, Parsed, bad_lines, numbers_from
from usher_lake.schemas import arrow_type, row_schema

_PYTHON_TYPES: dict[Kind, Any] = {
    "id": str,
    "text": str,
    "number": float,
    "timestamp": int,
    "text_list": list[str],
    "attributes": dict[str, str],
}
_ARROW_TYPES: dict[Kind, pa.DataType] = {"id": pa.string(), "text": pa.string(), "number": pa.float64()}
_BLANK = (b"", b"\r")
_decode = msgspec.json.Decoder().decode


class JsonReader:
    """Reads the chunks of one object of JSON lines."""

    def __init__(self, landed_as: Dataset) -> None:
        self._data = landed_as
        self._decoder = _decoder(landed_as.name)

    def read(self, chunks: Iterable[Chunk]) -> Iterator[Parsed]:
        """The object piece by piece."""
        for chunk in chunks:
            yield self._chunk(_without_mark(chunk)) if chunk.fault is None else one_bad(chunk, chunk.fault)

    def _chunk(self, chunk: Chunk) -> Parsed:
        rows = chunk.data.count(b"\n")
        columns = self._quick(chunk.data, rows)
        if columns is not None:
            numbers = numbers_from(chunk.line, rows)
            return self._check(chunk, columns, numbers, {}, None)
        lines = chunk.data.split(b"\n")
        lines.pop()
        columns, numbers, faults = self._slow(chunk.line, lines)
        return self._check(chunk, columns, numbers, faults, lines)

    def _quick(self, data: bytes, rows: int) -> dict[str, pa.Array] | None:
        """The columns when each line is one object of the expected form, else None.

        Every line starts with { and ends with }, so no object can reach over a newline or share a line with another
        once there are as many objects as lines.
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
            if line in _BLANK:
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
    ) -> Parsed:
        checked = check_columns(self._data, columns, len(numbers))
        batch = pa.RecordBatch.from_arrays(
            fill_release(self._data, checked.columns), schema=row_schema(self._data.name)
        )
        if checked.faults:
            good = pa.array([index not in checked.faults for index in range(len(numbers))])
            at = numbers.take(pa.array(list(checked.faults), pa.int64())).to_pylist()
            faults |= {line - chunk.line: fault for line, fault in zip(at, checked.faults.values(), strict=True)}
            batch, numbers = batch.filter(good), numbers.filter(good)
        if not faults:
            return Parsed(batch, numbers, (), 0)
        split = lines if lines is not None else chunk.data.split(b"\n")
        return Parsed(batch, numbers, bad_lines(split, faults, chunk.line, chunk.offset), len(faults))


def _without_mark(chunk: Chunk) -> Chunk:
    """The first chunk without the byte order mark that some editors write."""
    if chunk.line > 1 or not chunk.data.startswith(BOM):
        return chunk
    data = chunk.data.removeprefix(BOM)
    return replace(chunk, data=data, offset=len(BOM), length=len(data))


@functools.cache
def _decoder(name: str) -> Any:
    """A decoder of the data set's rows in their plain form; further fields are an error where they mean something."""
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
    """Scalars as text, so that they are read as a CSV's are."""
    return pa.string() if field.kind in ("id", "text", "number", "timestamp") else arrow_type(field)


def read_line(data: Dataset, line: bytes) -> dict[str, Any] | Fault:
    """One line as values by field, scalars as text; or why it is none."""
    if not is_utf8(line):
        return Fault("", "is not UTF-8")
    try:
        found = _decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Fault("", "is not JSON")
    if not isinstance(found, dict):
        return Fault("", "is not a JSON object")
    row: dict[str, Any] = {}
    further: dict[str, str] = {}
    for name, value in found.items():
        field = _names(data.name).get(name.casefold())
        if field is not None and field.name != name and field.name in found:
            continue  # the name itself counts, not its other spelling
        fault = _further(further, name, value) if field is None else _take(row, field, value)
        if fault is not None:
            return fault
    if further and "attributes" in {field.name for field in data.fields}:
        row["attributes"] = (row.get("attributes") or {}) | further
    return row


@functools.cache
def _names(name: str) -> dict[str, Field]:
    """Every spelling of every field; the first field that has one keeps it."""
    found: dict[str, Field] = {}
    for field in dataset(name).fields:
        for spelling in spellings(field):
            found.setdefault(spelling, field)
    return found


def _take(row: dict[str, Any], field: Field, value: Any) -> Fault | None:
    """Put one value into the row as the checks take it; the fault when its JSON type cannot hold the field."""
    if row.get(field.name) is not None:
        return Fault(field.name, "is there twice")
    if value is None:
        return None
    if field.kind == "attributes":
        return _take_attributes(row, value)
    if field.kind == "text_list":
        return _take_list(row, field, value)
    text = _scalar(value)
    if text is None:
        return Fault(field.name, f"has the JSON type {_json_type(value)}")
    row[field.name] = text
    return None


def _take_list(row: dict[str, Any], field: Field, value: Any) -> Fault | None:
    if isinstance(value, str):
        parts = [] if value in field.nothing else [part for part in value.split("|") if part]
        row[field.name] = parts or None
        return None
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        return Fault(field.name, f"has the JSON type {_json_type(value)}, not a list of text")
    row[field.name] = value
    return None


def _take_attributes(row: dict[str, Any], value: Any) -> Fault | None:
    if not isinstance(value, dict):
        return Fault("attributes", f"has the JSON type {_json_type(value)}")
    further: dict[str, str] = {}
    for name, inner in value.items():
        fault = _further(further, name, inner)
        if fault is not None:
            return fault
    row["attributes"] = further or None
    return None


def _further(further: dict[str, str], name: str, value: Any) -> Fault | None:
    """A further field as an attribute: text as it is, anything else as JSON."""
    if value is None or value == "":
        return None
    text = _scalar(value)
    further[name] = text if text is not None else msgspec.json.encode(value).decode()
    return None


def _scalar(value: Any) -> str | None:
    """Text, or a number as text; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return str(value)


def _json_type(value: Any) -> str:
    return {bool: "boolean", list: "array", dict: "object"}.get(type(value), "null")
