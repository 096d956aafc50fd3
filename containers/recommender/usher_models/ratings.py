"""Reads the ratings, events and items that prepare wrote: Parquet in, checked arrays out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from usher.schema.interactions import KINDS, RATING, RATING_MAX, RATING_MIN, VIEW
from usher_models.errors import DataError
from usher_scorer.catalogue import Catalogue
from usher_scorer.profiles import Profiles, likes, no_kinds, weigh

Bool = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

RATING_COLUMNS = ("user", "item", "rating", "rated_at_us")
#: Left out of a channel when all its rows are ratings.
KIND_COLUMN = "kind"
ITEM_COLUMNS = ("item", "item_id", "title", "genres", "year", "released_at_us", "tags")


@dataclass(frozen=True, slots=True)
class Ratings:
    """Rows: user, item (dense ids), value (0.5 to 5, of events 0), time_us (microseconds since 1970), each (rows,).

    kind (rows,): what each row is, as usher_scorer's KINDS has it; left out when all are ratings.
    """

    user: Int32
    item: Int32
    value: Float32
    time_us: Int64
    kind: Int8 = field(default_factory=no_kinds)

    def __post_init__(self) -> None:
        if len(self.kind) != len(self.user):
            object.__setattr__(self, "kind", np.zeros(len(self.user), np.int8))

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Bool | Int64) -> Ratings:
        """The rows that a mask or indices select."""
        return Ratings(self.user[rows], self.item[rows], self.value[rows], self.time_us[rows], self.kind[rows])

    def join(self, other: Ratings) -> Ratings:
        """These rows, then the other's."""
        return Ratings(
            np.concatenate([self.user, other.user]),
            np.concatenate([self.item, other.item]),
            np.concatenate([self.value, other.value]),
            np.concatenate([self.time_us, other.time_us]),
            np.concatenate([self.kind, other.kind]),
        )

    @property
    def pairs(self) -> Int64:
        """User and item of each row as one number (rows,)."""
        return self.user.astype(np.int64) << 32 | self.item.astype(np.int64)

    def strongest(self) -> Ratings:
        """One row per user and item: of several the strongest kind's last one."""
        order = np.lexsort((self.time_us, -self.kind, self.pairs))
        pairs = self.pairs[order]
        last = np.concatenate([pairs[1:] != pairs[:-1], [True]]) if len(self) else np.zeros(0, np.bool_)
        return self.take(order[last])

    @property
    def positive(self) -> Bool:
        """Which rows are positives (rows,)."""
        return likes(self.value, self.kind)

    @property
    def weights(self) -> Float64:
        """The weight of each row as evidence for its item (rows,); below 0 it is evidence against it."""
        return weigh(self.value, self.kind)

    @property
    def stated(self) -> Ratings:
        """The rows that are ratings."""
        return self.take(self.kind == RATING)

    @property
    def users(self) -> int:
        """One more than the highest user number."""
        return int(self.user.max()) + 1 if len(self) else 0

    def profiles(self, users: Int64) -> Profiles:
        """The profiles of these users (ascending dense ids), in their order; other users' rows are left out."""
        place = np.full(max(self.users, int(users.max(initial=-1)) + 1), -1, np.int64)
        place[users] = np.arange(len(users))
        mine = place[self.user] >= 0
        rows = (place[self.user[mine]], self.item[mine].astype(np.int64), self.value[mine], self.time_us[mine])
        return Profiles.gather(*rows, len(users), self.kind[mine])


@dataclass(frozen=True, slots=True)
class Items:
    """The catalogue, and the tags that were on each item before the split."""

    catalogue: Catalogue
    tags: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.catalogue)

    @classmethod
    def nameless(cls, count: int) -> Items:
        """A catalogue of `count` items without metadata."""
        names, none = tuple(map(str, range(count))), ((),) * count
        return cls(Catalogue(names, names, none, np.zeros(count, np.int64), np.full(count, np.nan)), none)


def read_ratings(folder: Path, channel: str) -> Ratings:
    """A folder of Parquet files; DataError for none, another schema, NaN, or values outside the scale."""
    table = _read(folder, channel, RATING_COLUMNS, (KIND_COLUMN,))
    columns = [table.column(name).to_numpy() for name in RATING_COLUMNS]
    if any(table.column(name).null_count for name in RATING_COLUMNS):
        raise DataError(f"channel {channel}: a row lacks a value: run prepare again")
    user, item, value, time_us = columns
    kind = _kinds(table, channel)
    if len(user) and (user.min() < 0 or item.min() < 0):
        raise DataError(f"channel {channel}: user and item must be numbers from 0 on, as prepare makes them")
    bad = (kind == RATING) & ~((value >= RATING_MIN) & (value <= RATING_MAX))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"channel {channel}: {int(bad.sum())} of {len(value)} ratings are not a number from {RATING_MIN} to "
            f"{RATING_MAX} (row {row}: {value[row]}); a rating, not a row number or another label, belongs there"
        )
    ids = (user.astype(np.int32), item.astype(np.int32))
    return Ratings(*ids, value.astype(np.float32), time_us.astype(np.int64), kind)


def _kinds(table: pa.Table, channel: str) -> Int8:
    if KIND_COLUMN not in table.column_names:
        return np.zeros(len(table), np.int8)
    column = table.column(KIND_COLUMN)
    kind: Int8 = column.to_numpy().astype(np.int8) if not column.null_count else np.full(len(table), -1, np.int8)
    if len(kind) and not RATING <= kind.min() <= kind.max() <= VIEW:
        known = ", ".join(f"{n} ({name})" for n, name in enumerate(KINDS))
        raise DataError(f"channel {channel}: kind must be one of {known}; prepare writes it")
    return kind


def read_items(folder: Path, channel: str) -> Items:
    """The items channel; DataError when it is empty, of another schema, or numbered with gaps."""
    table = _read(folder, channel, ITEM_COLUMNS).sort_by("item")
    numbers = table.column("item").to_numpy()
    if not np.array_equal(numbers, np.arange(len(numbers))):
        raise DataError(f"channel {channel}: items must be numbered 0 to {len(numbers) - 1} without gaps")
    rows = table.to_pydict()
    catalogue = Catalogue(
        tuple(rows["item_id"]),
        tuple(title or item_id for title, item_id in zip(rows["title"], rows["item_id"], strict=True)),
        tuple(tuple(genres or ()) for genres in rows["genres"]),
        np.array([year or 0 for year in rows["year"]], np.int64),
        np.array([np.nan if us is None else us / 1e6 for us in rows["released_at_us"]], np.float64),
    )
    return Items(catalogue, tuple(tuple(tags or ()) for tags in rows["tags"]))


def read_users(folder: Path, channel: str) -> tuple[str, ...]:
    """User ids by dense id."""
    table = _read(folder, channel, ("user", "user_id")).sort_by("user")
    return tuple(table.column("user_id").to_pylist())


def read_summary(folder: Path) -> dict[str, object]:
    """prepare's summary.json."""
    path = folder / "summary.json"
    if not path.is_file():
        raise DataError(f"{folder} has no summary.json: it is not what prepare wrote")
    summary: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return summary


def _read(folder: Path, channel: str, columns: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    files = sorted(path for path in folder.rglob("*.parquet") if path.is_file()) if folder.is_dir() else []
    if not files:
        raise DataError(f"channel {channel} is empty: {folder} holds no .parquet file")
    tables = []
    for path in files:
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"channel {channel}: {path.name} is not Parquet ({error})") from None
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            found = ", ".join(file.schema_arrow.names)
            raise DataError(f"channel {channel}: {path.name} lacks {', '.join(missing)}; it has {found[:300]}")
        tables.append(file.read(columns=[*columns, *(name for name in optional if name in file.schema_arrow.names)]))
    return pa.concat_tables(tables)
