"""The data sets: one definition for the Iceberg tables, the checks of ingest and of the API, and the documentation.

A field's position is its identity in the Iceberg table: append new fields, never reorder them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from usher.schema.interactions import EVENT_TYPES, RATING_MAX, RATING_MIN, RATING_SCALE

Kind = Literal["id", "text", "text_list", "number", "timestamp", "date", "attributes"]

ID_MAX_BYTES = 128
#: Times are UTC microseconds since 1970; anything outside [1970, 2100) is refused.
TIME_MIN_US = 0
TIME_MAX_US = 4_102_444_800_000_000
#: 1800: films and books are older than 1970.
RELEASE_MIN_US = -5_364_662_400_000_000


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    name:      the column's name in the table, in JSON lines and in a CSV header.
    kind:      id (1 to 128 bytes UTF-8, no control characters), text, text_list (in CSV separated by `|`), number
               (double), timestamp (timestamptz, microseconds, UTC), date, attributes (map of string to string).
    required:  a row without it goes to quarantine.
    minimum, maximum: inclusive bounds of a number.
    max_bytes: the longest value in UTF-8 bytes, for ids and text.
    choices:   the accepted values, in lower case; empty for any.
    aliases:   other header spellings accepted (MovieLens, Amazon Personalize).
    earliest_us: the first instant accepted; where that is before 1970, four digits alone are a year.
    nothing:   values that are read as missing.
    """

    name: str
    kind: Kind
    doc: str
    required: bool = True
    minimum: float | None = None
    maximum: float | None = None
    max_bytes: int = 1024
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    earliest_us: int = TIME_MIN_US
    nothing: tuple[str, ...] = ()


def _id(name: str, doc: str, *aliases: str) -> Field:
    return Field(name, "id", doc, max_bytes=ID_MAX_BYTES, aliases=aliases)


_USER = _id("user_id", "the user's id", "userId", "USER_ID")
_ITEM = _id("item_id", "the item's id", "itemId", "movieId", "ITEM_ID")
_TIME_ALIASES = ("timestamp", "TIMESTAMP")

#: Written by ingest into every row, never read from the input.
PROVENANCE = (
    Field(
        "source", "text", "`<object digest>:<line>`: the landing object of the row, and its line (in Parquet its row)"
    ),
    Field("ingested_at", "timestamp", "when the landing object was written"),
    Field("ingested_date", "date", "the day of `ingested_at`: the identity partition of every table"),
)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set: its fields as producers send them (`fields`) and as the table holds them (`columns`)."""

    name: str
    doc: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]

    @property
    def columns(self) -> tuple[Field, ...]:
        return self.fields + PROVENANCE

    @property
    def required(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.required)

    def field(self, name: str) -> Field:
        """The field of that name; KeyError when the data set has none."""
        for field in self.columns:
            if field.name == name:
                return field
        raise KeyError(f"{self.name} has no field {name!r}")


_ALL = (
    Dataset(
        "ratings",
        f"Users' ratings of items, on a scale from {RATING_SCALE}.",
        ("user_id", "item_id", "rated_at"),
        (
            _USER,
            _ITEM,
            Field("rating", "number", RATING_SCALE, minimum=RATING_MIN, maximum=RATING_MAX, aliases=("EVENT_VALUE",)),
            Field("rated_at", "timestamp", "when the user rated", aliases=_TIME_ALIASES),
        ),
    ),
    Dataset(
        "items",
        "The catalogue. Unknown columns become attributes.",
        ("item_id",),
        (
            _ITEM,
            Field("title", "text", "the title to display", aliases=("TITLE",)),
            Field(
                "genres",
                "text_list",
                "in CSV separated by `|`",
                required=False,
                aliases=("GENRES", "genre"),
                nothing=("(no genres listed)",),
            ),
            Field(
                "released_at",
                "timestamp",
                "from 1800; if missing, the year in the title, `Heat (1995)`",
                required=False,
                earliest_us=RELEASE_MIN_US,
            ),
            Field("attributes", "attributes", "all unknown columns", required=False, max_bytes=65_536),
        ),
    ),
    Dataset(
        "tags",
        "Tags that users set on items.",
        ("user_id", "item_id", "tag", "tagged_at"),
        (
            _USER,
            _ITEM,
            Field("tag", "text", "1 to 1,024 bytes"),
            Field("tagged_at", "timestamp", "when the user set the tag", aliases=_TIME_ALIASES),
        ),
    ),
    Dataset(
        "links",
        "Items' ids in other catalogues.",
        ("item_id",),
        (
            _ITEM,
            Field("imdb_id", "text", "IMDb's id, leading zeros kept", required=False, aliases=("imdbId",)),
            Field("tmdb_id", "text", "TMDB's id", required=False, aliases=("tmdbId",)),
        ),
    ),
    Dataset(
        "events",
        "Users' clicks, purchases and views.",
        ("event_id",),
        (
            _id("event_id", "identifies the event: a retry counts once; in Personalize files `<object digest>-<line>`"),
            _USER,
            _ITEM,
            Field(
                "type",
                "text",
                "click, purchase or view",
                choices=tuple(sorted(EVENT_TYPES)),
                aliases=("EVENT_TYPE",),
            ),
            Field(
                "value",
                "number",
                "the value of the event, such as a price or seconds",
                required=False,
                aliases=("EVENT_VALUE",),
            ),
            Field("occurred_at", "timestamp", "when the event happened", aliases=_TIME_ALIASES),
            Field(
                "recommendation_id",
                "text",
                "the signed id of the recommendation that led to it",
                required=False,
                max_bytes=4096,
            ),
        ),
    ),
)

#: Every data set by name, in the order of the documentation.
DATASETS: Mapping[str, Dataset] = MappingProxyType({dataset.name: dataset for dataset in _ALL})


def dataset(name: str) -> Dataset:
    """The data set of that name; KeyError naming the known ones."""
    try:
        return DATASETS[name]
    except KeyError:
        raise KeyError(f"unknown data set {name!r}: it is one of {', '.join(DATASETS)}") from None


def markdown() -> str:
    """The data sets as the tables of docs/datasets.md, which a test compares with this."""
    parts = ["# Data sets", "", "Generated from `usher.schema.datasets` by `make docs`.", ""]
    for data in DATASETS.values():
        parts += [f"## {data.name}", "", f"{data.doc} Key: {', '.join(f'`{name}`' for name in data.key)}.", ""]
        parts += ["| field | kind | required | also accepted as | meaning |", "|---|---|---|---|---|"]
        for field in data.columns:
            names = ", ".join(f"`{alias}`" for alias in field.aliases)
            required = "yes" if field.required else "no"
            parts.append(f"| `{field.name}` | {field.kind} | {required} | {names} | {field.doc} |")
        parts.append("")
    return "\n".join(parts)


def schema_digest() -> str:
    """A digest of the schema; the template contains it, so that a changed schema updates the tables."""
    return hashlib.sha256(repr(_ALL).encode()).hexdigest()[:16]
