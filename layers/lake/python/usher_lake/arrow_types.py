"""The Arrow types of a data set's fields, and casts of whole columns: a value that does not fit becomes null."""

from __future__ import annotations

import functools

import pyarrow as pa
import pyarrow.compute as pc

from usher.schema.datasets import Field, dataset

TIME = pa.timestamp("us", tz="UTC")

_TYPES = {
    "id": pa.string(),
    "text": pa.string(),
    "number": pa.float64(),
    "timestamp": TIME,
    "date": pa.date32(),
    "text_list": pa.list_(pa.field("element", pa.string(), nullable=False)),
    "attributes": pa.map_(pa.string(), pa.field("value", pa.string(), nullable=False)),
}

#: What Arrow reads as a number; NaN and infinity are refused afterwards, with a reason of their own.
_NUMBER = r"(?i)^[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|nan|inf|infinity)$"

_US = pa.timestamp("us")
#: Below this a number is seconds (until the year 5138), from it on milliseconds (from 1973).
_MILLISECONDS_FROM = 100_000_000_000
#: Stands for a time that does not fit into microseconds: outside of every allowed range.
_TOO_LARGE = (1 << 63) - 1
_INTEGER = r"^-?\d{1,19}$"
_FRACTION = r"^-?\d{1,14}\.\d{1,9}$"
_YEAR = r"^\d{4}$"
_ISO_ZONED = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)$"
_ISO_PLAIN = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?$"


def arrow_type(field: Field) -> pa.DataType:
    """The type of one column."""
    return _TYPES[field.kind]


def _schema(fields: tuple[Field, ...]) -> pa.Schema:
    return pa.schema([pa.field(field.name, arrow_type(field), nullable=not field.required) for field in fields])


@functools.cache
def row_schema(name: str) -> pa.Schema:
    """The fields of a data set's rows, as the readers fill them."""
    return _schema(dataset(name).fields)


@functools.cache
def file_schema(name: str) -> pa.Schema:
    """The columns of a data file: the fields and the provenance of each row."""
    return _schema(dataset(name).columns)


def only(column: pa.Array, mask: pa.Array) -> pa.Array:
    """The values where `mask` is true, null elsewhere."""
    return pc.if_else(mask, column, pa.scalar(None, column.type))


def cast_or_null(column: pa.Array, to: pa.DataType) -> pa.Array:
    """Cast; the values that do not fit become null. They are found by halving: quick when they are few."""
    try:
        return column.cast(to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        half = len(column) // 2
        if not half:
            return pa.nulls(len(column), to)
        return pa.concat_arrays([cast_or_null(column[:half], to), cast_or_null(column[half:], to)])


def text_to_float(column: pa.Array) -> pa.Array:
    """Strings as numbers (double); null where a string is not a number."""
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        return cast_or_null(only(column, pc.match_substring_regex(column, _NUMBER)), pa.float64())


def plain(column: pa.Array) -> pa.Array:
    """The column without Arrow's variants: dictionaries, large and view strings, decimals and short floats."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.dictionary_decode())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind) or pa.types.is_float32(kind):
        return column.cast(pa.float64())
    return column


def text_bytes(column: pa.Array) -> bytes:
    """The bytes of all values of a string column, concatenated, for one search over the whole column."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return b""
    ends = memoryview(offsets).cast("i")
    return bytes(data[ends[column.offset] : ends[column.offset + len(column)]])


def text_to_us(column: pa.Array, *, years: bool = False) -> pa.Array:
    """Times as strings (seconds, milliseconds, ISO 8601 with or without a zone) as UTC microseconds (int64).

    Null where a string is not a time. years: four digits alone are a year.
    """
    if not years and b"x" not in text_bytes(column):  # Arrow would read 0x10 as 16
        try:
            return integer_to_us(column.cast(pa.int64()))
        except pa.ArrowInvalid:
            pass
    integer = only(column, pc.match_substring_regex(column, _INTEGER))
    found = [integer_to_us(cast_or_null(integer, pa.int64()))]
    if years:
        year = pc.match_substring_regex(column, _YEAR)
        first = pc.binary_join_element_wise(only(column, year), "-01-01", "")
        found = [cast_or_null(first, _US).cast(pa.int64()), only(found[0], pc.invert(year))]
    fraction = cast_or_null(only(column, pc.match_substring_regex(column, _FRACTION)), pa.float64())
    found.append(float_to_us(fraction))
    zoned = only(column, pc.match_substring_regex(column, _ISO_ZONED))
    found.append(cast_or_null(zoned, TIME).cast(pa.int64()))
    zoneless = only(column, pc.match_substring_regex(column, _ISO_PLAIN))
    found.append(cast_or_null(zoneless, _US).cast(pa.int64()))
    return pc.coalesce(*found)


def integer_to_us(column: pa.Array) -> pa.Array:
    """Seconds or milliseconds (int64), distinguished by their size, as microseconds; _TOO_LARGE on overflow."""
    seconds = _within(column, _MILLISECONDS_FROM)
    if pc.all(seconds, min_count=0).as_py():
        return pc.multiply(column, 1_000_000)
    fits = _within(column, _MILLISECONDS_FROM * 10_000)
    unit = pc.if_else(seconds, pa.scalar(1_000_000, pa.int64()), pa.scalar(1000, pa.int64()))
    return pc.if_else(fits, pc.multiply(only(column, fits), unit), pa.scalar(_TOO_LARGE, pa.int64()))


def _within(column: pa.Array, limit: int) -> pa.Array:
    return pc.and_(pc.less(column, limit), pc.greater(column, -limit))


def float_to_us(column: pa.Array) -> pa.Array:
    """Seconds or milliseconds with a fraction (double) as microseconds; null where not finite or too large."""
    size = pc.abs(column)
    safe = only(column, pc.and_(pc.is_finite(column), pc.less(size, 1e16)))
    unit = pc.if_else(pc.less(size, float(_MILLISECONDS_FROM)), pa.scalar(1e6), pa.scalar(1e3))
    product = pc.round(pc.multiply(safe, unit))
    return only(product, pc.less(pc.abs(product), 9e18)).cast(pa.int64())


def timestamp_to_us(column: pa.Array) -> pa.Array:
    """Any Arrow timestamp or date as microseconds; without a zone it is UTC; null where microseconds cannot hold it."""
    if pa.types.is_date(column.type):
        column = cast_or_null(column, pa.timestamp("s"))
    zone = pa.timestamp("us", tz=column.type.tz) if column.type.tz else _US
    if column.type.unit == "ns":
        return column.cast(zone, safe=False).cast(pa.int64())
    return cast_or_null(column, zone).cast(pa.int64())
