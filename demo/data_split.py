"""Split the data by time: the first 70 % of the ratings, the next 20 %, and the last 10 %, which Usher never receives.

Items, links and tags arrive with the part in whose time they were first rated or tagged; an item without ratings and
tags arrives with the first part.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.simulated_users.history import COLUMNS, History

#: Shares of the ratings, by time, in the two deliveries.
FIRST, SECOND = 0.7, 0.2


@dataclass(frozen=True, slots=True)
class Delivery:
    """MovieLens' file names → the file and its rows; files without rows are left out."""

    files: Mapping[str, Path]
    rows: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class Deliveries:
    """known_rows: ratings that Usher has after each delivery; hidden: ratings that it never receives."""

    first: Delivery
    second: Delivery
    known_rows: tuple[int, int]
    hidden: int


def split(folder: Path, history: History, scratch: Path) -> Deliveries:
    """Write the two deliveries of `folder`'s files below `scratch`."""
    ends = round(FIRST * len(history)), round((FIRST + SECOND) * len(history))
    moments = [int(history.seconds[min(end, len(history) - 1)]) for end in ends]
    tags = _rows(folder / "tags.csv")
    first_seen = _first_seen(history, tags[1])
    deliveries = []
    for number, begin in enumerate((0, ends[0])):
        since, until = (-1 if number == 0 else moments[0]), moments[number]
        tables = {
            "links.csv": _of_items(_rows(folder / "links.csv"), first_seen, since, until),
            "movies.csv": _of_items(_rows(folder / "movies.csv"), first_seen, since, until),
            "tags.csv": (tags[0], [row for row in tags[1] if since <= _seconds(row) < until]),
            "ratings.csv": _ratings(history, begin, ends[number]),
        }
        deliveries.append(_write(scratch / f"delivery-{number + 1}", tables))
    return Deliveries(deliveries[0], deliveries[1], ends, len(history) - ends[1])


_Table = tuple[Sequence[str], list[list[str]]]


def _rows(path: Path) -> _Table:
    """The header and the rows that have all columns."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        return header, [row for row in reader if len(row) == len(header)]


def _seconds(tag: Sequence[str]) -> int:
    return int(tag[-1])


def _first_seen(history: History, tags: Iterable[Sequence[str]]) -> dict[str, int]:
    """Item id → epoch seconds of its first rating or tag."""
    found: dict[str, int] = {}
    for item, seconds in zip(history.item.tolist(), history.seconds.tolist(), strict=True):
        found.setdefault(history.item_ids[item], seconds)
    for tag in tags:
        found[tag[1]] = min(found.get(tag[1], _seconds(tag)), _seconds(tag))
    return found


def _of_items(table: _Table, first_seen: Mapping[str, int], since: int, until: int) -> _Table:
    """Rows of the items first seen from `since` to `until`; in the first part also of those never seen."""
    default = since if since < 0 else until
    return table[0], [row for row in table[1] if since <= first_seen.get(row[0], default) < until]


def _ratings(history: History, begin: int, end: int) -> _Table:
    columns = (history.user, history.item, history.rating, history.seconds)
    rows = zip(*(column[begin:end].tolist() for column in columns), strict=True)
    return COLUMNS, [
        [history.user_ids[user], history.item_ids[item], f"{rating:g}", str(seconds)]
        for user, item, rating, seconds in rows
    ]


def _write(folder: Path, tables: Mapping[str, _Table]) -> Delivery:
    folder.mkdir(parents=True)
    files = {}
    for name, (header, rows) in tables.items():
        if not rows:
            continue
        files[name] = folder / name
        with files[name].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return Delivery(files, {name: len(tables[name][1]) for name in files})
