"""Casts of whole Arrow columns in which the values that cannot be cast become null, however many they are."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

#: What Arrow reads as a number; what is not finite is refused afterwards, in its own words.
_NUMBER = r"(?i)^[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|nan|inf|infinity)$"


def only(column: pa.Array, mask: pa.Array) -> pa.Array:
    """The values where `mask` is true, null elsewhere."""
    return pc.if_else(mask, column, pa.scalar(None, column.type))


def cast_or_null(column: pa.Array, to: pa.DataType) -> pa.Array:
    """Cast; the values that do not fit become null. Halves round them: quick when they are few."""
    try:
        return column.cast(to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        half = len(column) // 2
        if not half:
            return pa.nulls(len(column), to)
        return pa.concat_arrays([cast_or_null(column[:half], to), cast_or_null(column[half:], to)])


def text_to_float(column: pa.Array) -> pa.Array:
    """Numbers written as text (double); null for what is none."""
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        return cast_or_null(only(column, pc.match_substring_regex(column, _NUMBER)), pa.float64())


def plain(column: pa.Array) -> pa.Array:
    """The column without Arrow's variants: no dictionary, no large or view text; as it is when it has none."""
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
    """The bytes of all values of a text column, one after another: what a search over the whole column needs."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return b""
    ends = memoryview(offsets).cast("i")
    return bytes(data[ends[column.offset] : ends[column.offset + len(column)]])
