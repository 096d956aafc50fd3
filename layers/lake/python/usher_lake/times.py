"""Times as producers write them (seconds, milliseconds, ISO 8601 with and without a zone) as UTC microseconds."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from usher_lake.casting import cast_or_null, only, text_bytes

_US = pa.timestamp("us")
_US_UTC = pa.timestamp("us", tz="UTC")
#: Below this a number is seconds (until the year 5138), from it on milliseconds (from 1973).
_MILLISECONDS_FROM = 100_000_000_000
#: A time far outside of everything, which no arithmetic turns into another.
_TOO_LARGE = (1 << 63) - 1
_INTEGER = r"^-?\d{1,19}$"
_FRACTION = r"^-?\d{1,14}\.\d{1,9}$"
_YEAR = r"^\d{4}$"
_ISO_ZONED = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)$"
_ISO_PLAIN = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?$"


def text_to_us(column: pa.Array, *, years: bool = False) -> pa.Array:
    """Microseconds (int64); null for what is no time. years: four digits alone are a year."""
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
    found.append(cast_or_null(zoned, _US_UTC).cast(pa.int64()))
    plain = only(column, pc.match_substring_regex(column, _ISO_PLAIN))
    found.append(cast_or_null(plain, _US).cast(pa.int64()))
    return pc.coalesce(*found)


def integer_to_us(column: pa.Array) -> pa.Array:
    """Seconds or milliseconds (int64), told apart by their size, as microseconds; _TOO_LARGE where that overflows."""
    seconds = _within(column, _MILLISECONDS_FROM)
    if pc.all(seconds, min_count=0).as_py():
        return pc.multiply(column, 1_000_000)
    fits = _within(column, _MILLISECONDS_FROM * 10_000)
    unit = pc.if_else(seconds, pa.scalar(1_000_000, pa.int64()), pa.scalar(1000, pa.int64()))
    return pc.if_else(fits, pc.multiply(only(column, fits), unit), pa.scalar(_TOO_LARGE, pa.int64()))


def _within(column: pa.Array, limit: int) -> pa.Array:
    return pc.and_(pc.less(column, limit), pc.greater(column, -limit))


def float_to_us(column: pa.Array) -> pa.Array:
    """Seconds or milliseconds with a fraction (double) as microseconds; null for what is not finite or too large."""
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
