"""Reads a header: which column is which field, in any order and spelling, and which data set the columns make."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from usher.schema.datasets import DATASETS, Dataset, Field
from usher.schema.interactions import DEFAULT_EVENT_TYPE
from usher_lake.arrow_types import arrow_type

#: A wider file is not a table: checking it would cost more than its rows are worth.
MAX_COLUMNS = 1000

#: The columns of Amazon Personalize's interactions, which are events or ratings.
_PERSONALIZE = frozenset({"USER_ID", "ITEM_ID", "TIMESTAMP"})
_INTERACTIONS = ("events", "ratings")


class HeaderRefused(Exception):
    """The header fits no data set: the whole object goes to quarantine. field: the field at fault, "" without one."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of one object.

    names:       the columns as written, in their order.
    positions:   the column of each field that the object has.
    attributes:  columns that become attributes (items only), name and position.
    ignored:     columns that match no field: reported, not stored.
    personalize: event ids are made from the object's digest and the line; without EVENT_TYPE a row is a view.
    """

    dataset: Dataset
    names: tuple[str, ...]
    positions: dict[str, int]
    attributes: tuple[tuple[str, int], ...]
    ignored: tuple[str, ...]
    personalize: bool = False

    @property
    def first(self) -> Field:
        """The field whose column shows whether a row repeats the header."""
        return next(field for field in self.dataset.fields if field.name in self.positions)


def split_header(line: bytes) -> list[str]:
    """The names in a CSV header; HeaderRefused when the line cannot be one."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise HeaderRefused("header is not UTF-8") from error
    if "\0" in text:
        raise HeaderRefused("header has a NUL byte")
    if "\r" in text.rstrip("\r"):
        raise HeaderRefused("lines end with a bare carriage return: end them with a newline")
    try:
        names = next(csv.reader([text.rstrip("\r")], strict=True))
    except (csv.Error, StopIteration) as error:
        raise HeaderRefused("header is not valid CSV") from error
    if len(names) == 1 and max(text.count(";"), text.count("\t")) > 0:
        raise HeaderRefused("columns are not separated by commas")
    return names


def resolve(names: Sequence[str], landed_as: Dataset) -> Header:
    """Match columns with fields; HeaderRefused when a required field has no column, or a field has two.

    landed_as: the data set that the object's key names; Personalize's headers decide between events and ratings.
    """
    if len(names) > MAX_COLUMNS:
        raise HeaderRefused(f"header has more than {MAX_COLUMNS} columns")
    personalize = landed_as.name in _INTERACTIONS and set(names) >= _PERSONALIZE
    data = _personalize_dataset(names) if personalize else landed_as
    positions: dict[str, int] = {}
    others: list[tuple[str, int]] = []
    for position, name in enumerate(names):
        field = _field(data, name)
        if field is None:
            others.append((name.strip(), position))
        elif field.name in positions:
            raise HeaderRefused(f"two columns map to {field.name}", field.name)
        else:
            positions[field.name] = position
    _require(data, positions, personalize)
    return _header(data, names, positions, others, personalize)


def _personalize_dataset(names: Sequence[str]) -> Dataset:
    rated = "EVENT_VALUE" in names and "EVENT_TYPE" not in names
    return DATASETS["ratings" if rated else "events"]


def _field(data: Dataset, name: str) -> Field | None:
    wanted = name.strip().casefold()
    for field in data.fields:
        if field.kind != "attributes" and wanted in spellings(field):
            return field
    return None


def spellings(field: Field) -> frozenset[str]:
    """Every name that a field's column may have, in lower case."""
    return frozenset(name.casefold() for name in (field.name, *field.aliases))


def _require(data: Dataset, positions: dict[str, int], personalize: bool) -> None:
    given = {"event_id", "type"} if personalize else set()
    missing = [field.name for field in data.required if field.name not in positions and field.name not in given]
    if missing:
        raise HeaderRefused(f"header has no column {', '.join(missing)} (data set {data.name})", missing[0])


def _header(
    data: Dataset, names: Sequence[str], positions: dict[str, int], others: list[tuple[str, int]], personalize: bool
) -> Header:
    has_attributes = any(field.kind == "attributes" for field in data.fields)
    attributes = tuple((name, position) for name, position in others if name) if has_attributes else ()
    if len({name for name, _ in attributes}) < len(attributes):
        raise HeaderRefused("two attribute columns have the same name", "attributes")
    taken = {position for _, position in attributes}
    ignored = tuple(name for name, position in others if position not in taken)
    return Header(data, tuple(names), positions, attributes, ignored, personalize)


def complete(header: Header, columns: Mapping[str, pa.Array], lines: pa.Array, digest: str) -> dict[str, pa.Array]:
    """The raw columns by field, with attributes and Personalize's event ids and types added.

    columns: by field name; attribute columns by `attribute <name>`.
    """
    full = {name: columns[name] for name in header.positions}
    if header.attributes:
        full["attributes"] = _attributes(header, {name: columns[f"attribute {name}"] for name, _ in header.attributes})
    if header.personalize and header.dataset.name == "events":
        if "event_id" not in full:
            full["event_id"] = pc.binary_join_element_wise(f"{digest}-", lines.cast(pa.string()), "")
        if "type" not in full:
            full["type"] = pa.array([DEFAULT_EVENT_TYPE] * len(lines), pa.string())
    return full


def _attributes(header: Header, columns: Mapping[str, pa.Array]) -> pa.Array:
    """Attribute columns as one map a row, without empty values; null where nothing is left."""
    kind = arrow_type(header.dataset.field("attributes"))
    names = list(columns)
    rows = zip(*(column.cast(pa.string()).to_pylist() for column in columns.values()), strict=True)
    pairs = ([(name, value) for name, value in zip(names, row, strict=True) if value] for row in rows)
    return pa.array([pair or None for pair in pairs], kind)
