"""The items of a bundle: ids, titles, genres and dates, and the filters of requests."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from usher.schema.release_dates import release_limit, released_since
from usher_scorer.errors import BundleError, RequestError
from usher_scorer.profiles import Bool, Float64, Int64


@dataclass(frozen=True)
class Catalogue:
    """ids, titles, genres (items,) by dense id; years (items,): 0 where unknown; released (items,).

    Epoch seconds, NaN where unknown.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    genres: tuple[tuple[str, ...], ...]
    years: Int64
    released: Float64

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def dense(self) -> Mapping[str, int]:
        """Item id → dense id."""
        return {item_id: n for n, item_id in enumerate(self.ids)}

    @cached_property
    def by_genre(self) -> Mapping[str, Int64]:
        """Genre in lower case → dense ids, ascending."""
        found: dict[str, list[int]] = {}
        for n, genres in enumerate(self.genres):
            for genre in dict.fromkeys(name.casefold() for name in genres):
                found.setdefault(genre, []).append(n)
        return {genre: np.array(items, np.int64) for genre, items in found.items()}

    def of_genre(self, genre: str) -> Bool:
        """Which items have the genre (items,); RequestError naming the nearest genres when no item has it."""
        items = self.by_genre.get(genre.casefold())
        if items is None:
            near = difflib.get_close_matches(genre.casefold(), self.by_genre, 3, 0.5)
            known = near or sorted(self.by_genre)[:20]
            raise RequestError(
                "unknown_genre", f"no item has the genre {genre[:80]!r}; try {', '.join(known) or 'none'}"
            )
        mask = np.zeros(len(self), np.bool_)
        mask[items] = True
        return mask

    @cached_property
    def released_since(self) -> Float64:
        """From when on each item counts as released (items,), in epoch seconds; -inf for undated items."""
        rows = zip(self.years.tolist(), self.released.tolist(), strict=True)
        return np.array([released_since(year, released) for year, released in rows], np.float64)

    def not_released_after(self, text: str) -> Bool:
        """Which items were released by the end of that day or year (items,), undated ones included.

        RequestError for a text that is not a year or a date.
        """
        try:
            limit = release_limit(text)
        except ValueError as error:
            raise RequestError("bad_date", f"not_released_after {error}") from None
        return self.released_since < limit

    def describe(self, item: int) -> dict[str, Any]:
        """The item's fields in a response."""
        return {"item_id": self.ids[item], "title": self.titles[item], "genres": list(self.genres[item])}

    def lines(self) -> Iterable[str]:
        """The lines of items.jsonl."""
        for title, genres, year, released in zip(self.titles, self.genres, self.years, self.released, strict=True):
            record: dict[str, Any] = {"title": title, "genres": list(genres), "year": int(year) or None}
            if not math.isnan(released):
                record["released_at"] = float(released)
            yield json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def read_catalogue(ids: str, lines: str) -> Catalogue:
    """The catalogue from items.txt and items.jsonl; BundleError when they are not consistent."""
    names = split_lines(ids)
    records = [json.loads(line) for line in split_lines(lines)]
    if len(records) != len(names) or len(set(names)) != len(names):
        raise BundleError(
            f"items.txt names {len(set(names))} items, items.jsonl has {len(records)}: make the bundle again"
        )
    return Catalogue(
        names,
        tuple(str(record["title"]) for record in records),
        tuple(tuple(map(str, record["genres"])) for record in records),
        np.array([record["year"] or 0 for record in records], np.int64),
        np.array([record.get("released_at", math.nan) for record in records], np.float64),
    )


def split_lines(text: str) -> tuple[str, ...]:
    """Lines ended by \\n alone: an id may hold U+2028 and other characters that splitlines() takes for an end."""
    if not text:
        return ()
    if not text.endswith("\n"):
        raise BundleError("a list of the bundle ends inside a line: make the bundle again")
    return tuple(text[:-1].split("\n"))
