"""Reads a header: which column is which field, in any order and either spelling, and which data set that makes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from usher.schema.datasets import DATASETS, Dataset, Field

#: More columns than this are no table: checking them would cost more than the rows are worth.
MAX_COLUMNS = 1000

#: Amazon Personalize's interactions, in its own spelling: what makes them events, or ratings.
_PERSONALIZE = frozenset({"USER_ID", "ITEM_ID", "TIMESTAMP"})
_INTERACTIONS = ("events", "ratings")


class HeaderRefused(Exception):
    """No data set can be read under this header: the whole object goes to quarantine.

    field: the field at fault, "" when none is.
    """

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


@dataclass(frozen=True, slots=True)
class Header:
    """A header that was understood.

    names:       the columns as written, in their order.
    positions:   the column of each field that the object has.
    attributes:  columns that become attributes (items only), name and position.
    ignored:     columns that no field takes: reported, not kept.
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
        """The field whose column tells a repeated header from a row."""
        return next(field for field in self.dataset.fields if field.name in self.positions)


def split_header(line: bytes) -> list[str]:
    """The names in a CSV header; HeaderRefused when it is none."""
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
    """Match the columns with fields; HeaderRefused when a required one is missing, or there are two of one.

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
            raise HeaderRefused(f"two columns are {field.name}", field.name)
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
    """Every name a field's column may have, without regard to case."""
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
        raise HeaderRefused("two further columns have the same name", "attributes")
    taken = {position for _, position in attributes}
    ignored = tuple(name for name, position in others if position not in taken)
    return Header(data, tuple(names), positions, attributes, ignored, personalize)
