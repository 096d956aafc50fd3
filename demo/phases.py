"""The data as they would have come: the first 70 % of the ratings by time, the next 20 %, and a tenth that stays away.

Items, links and tags come with the part in whose time they were first spoken of; an item that nobody ever rated or
tagged was there from the start.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.simulated_users.history import COLUMNS, History

#: Shares of the ratings, in the order of time, that the demo's two deliveries bring.
FIRST, SECOND = 0.7, 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """One delivery: MovieLens' file names → the file and its rows, without files that would be empty."""

    files: Mapping[str, Path]
    rows: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class Phases:
    """The two deliveries. known_rows: ratings that have been given after each; hidden: those that never are."""

    first: Part
    second: Part
    known_rows: tuple[int, int]
    hidden: int


def cut(folder: Path, history: History, scratch: Path) -> Phases:
    """Write the two deliveries of `folder`'s files below `scratch`."""
    ends = round(FIRST * len(history)), round((FIRST + SECOND) * len(history))
    moments = [int(history.seconds[min(end, len(history) - 1)]) for end in ends]
    tags = _rows(folder / "tags.csv")
    born = _first_seen(history, tags[1])
    parts = []
    for number, begin in enumerate((0, ends[0])):
        since, until = (-1 if number == 0 else moments[0]), moments[number]
        chosen = {
            "links.csv": _of_items(_rows(folder / "links.csv"), born, since, until),
            "movies.csv": _of_items(_rows(folder / "movies.csv"), born, since, until),
            "tags.csv": (tags[0], [row for row in tags[1] if since <= _seconds(row) < until]),
            "ratings.csv": _ratings(history, begin, ends[number]),
        }
        parts.append(_write(scratch / f"part-{number + 1}", chosen))
    return Phases(parts[0], parts[1], ends, len(history) - ends[1])


_Table = tuple[Sequence[str], list[list[str]]]


def _rows(path: Path) -> _Table:
    """Header and whole rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        return header, [row for row in reader if len(row) == len(header)]


def _seconds(tag: Sequence[str]) -> int:
    return int(tag[-1])


def _first_seen(history: History, tags: Iterable[Sequence[str]]) -> dict[str, int]:
    """Item id → when it was first rated or tagged, epoch seconds."""
    born: dict[str, int] = {}
    for item, seconds in zip(history.item.tolist(), history.seconds.tolist(), strict=True):
        born.setdefault(history.item_ids[item], seconds)
    for tag in tags:
        born[tag[1]] = min(born.get(tag[1], _seconds(tag)), _seconds(tag))
    return born


def _of_items(table: _Table, born: Mapping[str, int], since: int, until: int) -> _Table:
    """Rows of items that were first spoken of in a time, the others' with the first part."""
    return table[0], [row for row in table[1] if since <= born.get(row[0], since if since < 0 else until) < until]


def _ratings(history: History, begin: int, end: int) -> _Table:
    columns = (history.person, history.item, history.rating, history.seconds)
    rows = zip(*(column[begin:end].tolist() for column in columns), strict=True)
    return COLUMNS, [
        [history.person_ids[person], history.item_ids[item], f"{rating:g}", str(seconds)]
        for person, item, rating, seconds in rows
    ]


def _write(folder: Path, tables: Mapping[str, _Table]) -> Part:
    folder.mkdir(parents=True)
    files = {}
    for name, (header, rows) in tables.items():
        if not rows:
            continue
        files[name] = folder / name
        with files[name].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return Part(files, {name: len(tables[name][1]) for name in files})
