"""Checks whole Arrow columns by the rules of `usher.schema.datasets`: values in the table's types, and which are bad.

The rules (bounds, lengths, choices) are in the definition alone; here is how to test them quickly. Columns are strings
(CSV) or typed (JSON, Parquet): the same value has the same result in either form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from usher.schema.datasets import TIME_MAX_US, Dataset, Field
from usher_lake import arrow_types
from usher_lake.arrow_types import TIME, arrow_type
from usher_lake.reasons import MISSING, Fault, explain

_CONTROL = bytes([*range(0x20), 0x7F])
_CONTROL_PATTERN = r"[\x00-\x1f\x7f\x{80}-\x{9f}]"


class CheckedColumn(NamedTuple):
    """values: the column in its type. ok: a mask of the good rows; None when all are good."""

    values: pa.Array
    ok: pa.Array | None


class CheckedColumns(NamedTuple):
    """columns: the data set's fields in order, every row. faults: of the bad rows, by index."""

    columns: list[pa.Array]
    faults: dict[int, Fault]


def check_columns(data: Dataset, columns: Mapping[str, pa.Array], rows: int) -> CheckedColumns:
    """Check raw columns; a field without a column is absent in every row."""
    values = []
    faults: dict[int, Fault] = {}
    for field in data.fields:
        raw = arrow_types.plain(columns[field.name]) if field.name in columns else pa.nulls(rows, pa.string())
        checked = check(field, raw)
        values.append(checked.values)
        if checked.ok is not None:
            _collect(field, raw, checked, faults)
    return CheckedColumns(values, faults)


def _collect(field: Field, raw: pa.Array, checked: CheckedColumn, faults: dict[int, Fault]) -> None:
    """Add the reason of each bad value to `faults`; a row keeps its first fault."""
    bad = pc.invert(checked.ok)
    present = pc.invert(_absent(raw)).filter(bad).to_pylist()
    parsed = checked.values.is_valid().filter(bad).to_pylist()
    values = raw.filter(bad).to_pylist() if _in_python(raw.type) else present
    column_type = str(raw.type)
    for place, index in enumerate(pc.indices_nonzero(bad).to_pylist()):
        if index in faults:
            continue
        reason = explain(field, values[place], parsed[place], column_type) if present[place] else MISSING
        faults[index] = Fault(field.name, reason)


def _in_python(kind: pa.DataType) -> bool:
    """Whether the reasons need the values, and Python can hold them all."""
    return bool(pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def check(field: Field, column: pa.Array) -> CheckedColumn:
    """Check one column by the rules of its field."""
    if pa.types.is_null(column.type):
        return _settle(field, pa.nulls(len(column), arrow_type(field)), pa.array([True] * len(column)), column)
    return _CHECKS[field.kind](field, column)


def _settle(field: Field, values: pa.Array, ok: pa.Array, absent_in: pa.Array) -> CheckedColumn:
    """An absent value is good where the field is optional; a null in `ok` is bad."""
    if not field.required:
        ok = pc.or_kleene(ok, _absent(absent_in))
    elif values.null_count:
        ok = pc.and_kleene(ok, values.is_valid())
    ok = pc.fill_null(ok, False)
    return CheckedColumn(values, None if pc.all(ok, min_count=0).as_py() else ok)


def _absent(column: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type):
        return pc.or_kleene(column.is_null(), pc.equal(pc.binary_length(column), 0))
    return column.is_null()


def _refuse(field: Field, column: pa.Array) -> CheckedColumn:
    """Refuse a column of a type that cannot hold the field, except its nulls where the field is optional."""
    return _settle(field, pa.nulls(len(column), arrow_type(field)), pa.array([False] * len(column)), column)


def _as_text(column: pa.Array) -> pa.Array | None:
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    return column if pa.types.is_string(column.type) else None


def _check_id(field: Field, column: pa.Array) -> CheckedColumn:
    text = _as_text(column)
    if text is None:
        return _refuse(field, column)
    size = pc.binary_length(text)
    ok = pc.and_(pc.greater(size, 0), pc.less_equal(size, field.max_bytes))
    raw = arrow_types.text_bytes(text)
    if not raw.isascii() or len(raw.translate(None, _CONTROL)) != len(raw):
        ok = pc.and_(ok, pc.invert(pc.match_substring_regex(text, _CONTROL_PATTERN)))
    return _settle(field, text, ok, text)


def _check_text(field: Field, column: pa.Array) -> CheckedColumn:
    text = _as_text(column)
    if text is None:
        return _refuse(field, column)
    size = pc.binary_length(text)
    ok = pc.and_(pc.greater(size, 0), pc.less_equal(size, field.max_bytes))
    if b"\0" in arrow_types.text_bytes(text):
        ok = pc.and_(ok, pc.invert(pc.match_substring(text, "\0")))
    if field.choices:
        text = pc.utf8_lower(text)
        ok = pc.and_(ok, pc.is_in(text, pa.array(field.choices)))
    if not field.required:
        text = arrow_types.only(text, pc.greater(size, 0))
    return _settle(field, text, ok, column)


def _check_number(field: Field, column: pa.Array) -> CheckedColumn:
    if pa.types.is_string(column.type):
        number = arrow_types.text_to_float(column)
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        number = column.cast(pa.float64(), safe=False)
    else:
        return _refuse(field, column)
    ok = pc.is_finite(number)
    if field.minimum is not None:
        ok = pc.and_(ok, pc.greater_equal(number, field.minimum))
    if field.maximum is not None:
        ok = pc.and_(ok, pc.less_equal(number, field.maximum))
    return _settle(field, number, ok, column)


def _check_timestamp(field: Field, column: pa.Array) -> CheckedColumn:
    if pa.types.is_string(column.type):
        us = arrow_types.text_to_us(column, years=field.earliest_us < 0)
    elif pa.types.is_integer(column.type):
        us = arrow_types.integer_to_us(arrow_types.cast_or_null(column, pa.int64()))
    elif pa.types.is_floating(column.type):
        us = arrow_types.float_to_us(column.cast(pa.float64()))
    elif pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        us = arrow_types.timestamp_to_us(column)
    else:
        return _refuse(field, column)
    ok = pc.and_(pc.greater_equal(us, field.earliest_us), pc.less(us, TIME_MAX_US))
    return _settle(field, us.cast(TIME), ok, column)


def _check_text_list(field: Field, column: pa.Array) -> CheckedColumn:
    if pa.types.is_string(column.type):
        column = _split(field, column)
    elif not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return _refuse(field, column)
    try:
        values = column.cast(arrow_type(field))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = arrow_types.cast_or_null(column, arrow_type(field))
    words = values.flatten()
    size = pc.binary_length(words)
    good = pc.and_(pc.greater(size, 0), pc.less_equal(size, field.max_bytes))
    if b"\0" in arrow_types.text_bytes(words):
        good = pc.and_(good, pc.invert(pc.match_substring(words, "\0")))
    ok = values.is_valid()
    if not pc.all(good, min_count=0).as_py():
        parents = pc.list_parent_indices(values).filter(pc.invert(good))
        ok = pc.and_(ok, pc.invert(pc.is_in(pa.array(range(len(values)), parents.type), parents)))
    return _settle(field, values, ok, column)


def _split(field: Field, column: pa.Array) -> pa.Array:
    """`a|b` as a list; empty parts are dropped; null for a spelling that stands for no value."""
    text = arrow_types.only(column, pc.invert(pc.is_in(column, pa.array(["", *field.nothing]))))
    text = pc.utf8_trim(pc.replace_substring_regex(text, r"\|{2,}", "|"), "|")
    return pc.split_pattern(arrow_types.only(text, pc.greater(pc.binary_length(text), 0)), "|")


def _check_attributes(field: Field, column: pa.Array) -> CheckedColumn:
    if not pa.types.is_map(column.type):
        return _refuse(field, column)
    values = arrow_types.cast_or_null(column, arrow_type(field))
    size = pc.binary_length(values.items)
    if not pc.all(pc.less_equal(size, field.max_bytes), min_count=0).as_py():
        return _settle(field, values, _attribute_sizes(field, values), column)
    return _settle(field, values, values.is_valid(), column)


def _attribute_sizes(field: Field, values: pa.Array) -> pa.Array:
    limit = field.max_bytes
    return pa.array([row is None or all(len(text.encode()) <= limit for _, text in row) for row in values.to_pylist()])


_CHECKS: Mapping[str, Callable[[Field, pa.Array], CheckedColumn]] = {
    "id": _check_id,
    "text": _check_text,
    "number": _check_number,
    "timestamp": _check_timestamp,
    "text_list": _check_text_list,
    "attributes": _check_attributes,
}
