"""Fields that a row does not carry but its object implies: attributes, Personalize's event ids, the year in a title."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from usher.schema.datasets import Dataset
from usher.schema.interactions import DEFAULT_EVENT_TYPE
from usher_lake.casting import cast_or_null
from usher_lake.header import Header
from usher_lake.schemas import TIME, arrow_type

_YEAR = r"\((?P<year>\d{4})\)\s*$"


def complete(header: Header, columns: Mapping[str, pa.Array], lines: pa.Array, digest: str) -> dict[str, pa.Array]:
    """The raw columns with those added that the header implies. columns: by field name, attributes by column name."""
    full = {name: columns[name] for name in header.positions}
    if header.attributes:
        full["attributes"] = attributes({name: columns[f"attribute {name}"] for name, _ in header.attributes}, header)
    if header.personalize and header.dataset.name == "events":
        if "event_id" not in full:
            full["event_id"] = pc.binary_join_element_wise(f"{digest}-", lines.cast(pa.string()), "")
        if "type" not in full:
            full["type"] = pa.array([DEFAULT_EVENT_TYPE] * len(lines), pa.string())
    return full


def attributes(columns: Mapping[str, pa.Array], header: Header) -> pa.Array:
    """Further columns as one map a row; empty values are left out, a row without any has none."""
    kind = arrow_type(header.dataset.field("attributes"))
    names = list(columns)
    rows = zip(*(column.cast(pa.string()).to_pylist() for column in columns.values()), strict=True)
    pairs = ([(name, value) for name, value in zip(names, row, strict=True) if value] for row in rows)
    return pa.array([pair or None for pair in pairs], kind)


def fill_release(data: Dataset, columns: list[pa.Array]) -> list[pa.Array]:
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
