"""Write a generated world as MovieLens' four files and an optional fifth with events.

Titles are made of common words, so that no real item is imitated.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from demo.generator.interactions import TYPES, Chunk, Events, draw, with_events
from demo.generator.world import GENRES, Ints, Size, World, make

#: One rating in so many has a tag beside it, as in MovieLens (3,683 tags on 100,836 ratings).
_RATINGS_PER_TAG = 27
_STARS = pa.array([f"{half / 2}" for half in range(11)])
_NAMES = list(GENRES)
# fmt: off
_FIRST = (
    "Silent", "Golden", "Broken", "Hidden", "Crimson", "Distant", "Electric", "Frozen", "Gentle", "Hollow",
    "Iron", "Jealous", "Kindly", "Lonely", "Midnight", "Northern", "Open", "Paper", "Quiet", "Restless",
    "Scarlet", "Tender", "Unfinished", "Velvet", "Wandering", "Yellow", "Ancient", "Borrowed", "Careless",
    "Daring", "Early", "Faithful",
)
_SECOND = (
    "River", "Garden", "Mirror", "Harbour", "Letter", "Mountain", "Orchard", "Kingdom", "Station", "Summer",
    "Stranger", "Window", "Island", "Promise", "Winter", "Road", "Bridge", "Forest", "Circus", "Lighthouse",
    "Detective", "Sailor", "Painter", "Village", "Engine", "Shadow", "Morning", "Secret", "Journey", "Clock",
    "Valley", "Horizon", "Carnival", "Bakery", "Library", "Tide",
)
#: Tags by genre; those of the empty genre fit any item.
TAGS: dict[str, tuple[str, ...]] = {
    "Comedy": ("funny", "witty", "Highly quotable", "satire"),
    "Drama": ("thought-provoking", "emotional", "slow", "family"),
    "Thriller": ("suspense", "twist ending", "tense"),
    "Action": ("fast paced", "car chase", "explosions"),
    "Sci-Fi": ("space", "time travel", "dystopia", "robots"),
    "Horror": ("creepy", "ghosts", "gore"),
    "Romance": ("love story", "bittersweet"),
    "Animation": ("animation", "for children"),
    "War": ("war", "based on a true story"),
    "Documentary": ("politics", "interviews"),
    "": (
        "classic", "soundtrack", "great acting", "atmospheric", "seen twice", "boring", "überraschend",
        "visually, stunning",
    ),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which files of interactions are written, besides tags.csv."""

    ratings: bool = True
    events: bool = False

    @property
    def files(self) -> dict[str, str]:
        """File name → header line."""
        headers = {"ratings.csv": "userId,movieId,rating,timestamp"} if self.ratings else {}
        return headers | ({"events.csv": "event_id,user_id,item_id,type,value,occurred_at"} if self.events else {})


def generate(
    folder: Path,
    size: Size,
    seed: int,
    progress: Callable[[int], object] = lambda _: None,
    kinds: Kinds = Kinds(),
) -> dict[str, int]:
    """Write movies.csv, tags.csv, links.csv and what `kinds` says into `folder`; returns the rows of each.

    progress: called with the number of ratings of each chunk. A file gets its name when it is complete.
    """
    world = make(size, seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = {"movies.csv": size.items, "links.csv": size.items}
    _write_text(folder / "movies.csv", "movieId,title,genres", _movies(world, seed))
    _write_text(folder / "links.csv", "movieId,imdbId,tmdbId", _links(size.items, seed))
    return rows | _write_interactions(folder, world, seed, progress, kinds)


def _movies(world: World, seed: int) -> list[tuple[Any, ...]]:
    names = titles(world.years, seed)
    genres = ["|".join(sorted(_NAMES[g] for g in np.flatnonzero(row))) for row in world.genres]
    unlisted = np.random.default_rng([seed, 3]).random(len(names)) < 0.003
    shown = ["(no genres listed)" if hidden else text for text, hidden in zip(genres, unlisted, strict=True)]
    return list(zip(range(1, len(names) + 1), names, shown, strict=True))


def _links(items: int, seed: int) -> list[tuple[Any, ...]]:
    random = np.random.default_rng([seed, 4])
    imdb = random.permutation(items) * 7 + 100_000
    tmdb = random.permutation(items) + 2
    lacking = random.random(items) < 0.001
    return [
        (number + 1, f"{imdb[number]:07d}", "" if lacking[number] else int(tmdb[number])) for number in range(items)
    ]


def _write_interactions(
    folder: Path, world: World, seed: int, progress: Callable[[int], object], kinds: Kinds
) -> dict[str, int]:
    """ratings.csv and events.csv chunk by chunk, and tags.csv; the rows of each."""
    random = np.random.default_rng([seed, 5])
    rows = dict.fromkeys(kinds.files, 0)
    tags: list[tuple[Any, ...]] = []
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / f"{name}.part").open("wb")) for name in kinds.files}
        for name, header in kinds.files.items():
            files[name].write(f"{header}\n".encode())
        for chunk, events in with_events(world, seed, draw(world, seed)):
            if kinds.ratings:
                _append_ratings(files["ratings.csv"], chunk)
                rows["ratings.csv"] += len(chunk.users)
            if kinds.events:
                _append_events(files["events.csv"], events, rows["events.csv"])
                rows["events.csv"] += len(events)
            tags += _tags(random, world, chunk)
            progress(len(chunk.users))
    for name in kinds.files:
        (folder / f"{name}.part").replace(folder / name)
    _write_text(folder / "tags.csv", "userId,movieId,tag,timestamp", tags)
    return {**rows, "tags.csv": len(tags)}


def _append_events(file: BinaryIO, events: Events, written: int) -> None:
    ids = pa.array([f"e{number}" for number in range(written + 1, written + 1 + len(events))])
    types = pa.DictionaryArray.from_arrays(pa.array(events.types.astype(np.int8)), pa.array(TYPES)).cast(pa.string())
    price = pa.array(events.prices, mask=events.prices == 0)
    columns = [ids, events.users + 1, events.items + 1, types, price, events.seconds]
    table = pa.table(columns, names=list("euitvs"))
    pa_csv.write_csv(table, file, pa_csv.WriteOptions(include_header=False, quoting_style="none"))


def _append_ratings(file: BinaryIO, chunk: Chunk) -> None:
    stars = pa.DictionaryArray.from_arrays(pa.array((chunk.stars * 2).astype(np.int8)), _STARS).cast(pa.string())
    table = pa.table([chunk.users + 1, chunk.items + 1, stars, chunk.seconds], names=["u", "i", "r", "t"])
    pa_csv.write_csv(table, file, pa_csv.WriteOptions(include_header=False, quoting_style="none"))


def _tags(random: np.random.Generator, world: World, chunk: Chunk) -> list[tuple[Any, ...]]:
    where = np.flatnonzero(random.random(len(chunk.users)) < 1 / _RATINGS_PER_TAG)
    later, pick = random.integers(5, 3600, len(where)), random.random((len(where), 2))
    rows = []
    for position, delay, (which, word) in zip(where.tolist(), later.tolist(), pick.tolist(), strict=True):
        item = int(chunk.items[position])
        own = [_NAMES[g] for g in np.flatnonzero(world.genres[item]) if _NAMES[g] in TAGS]
        genre = own[int(which * len(own))] if own and which < 0.9 else ""
        tag = TAGS[genre][int(word * len(TAGS[genre]))]
        rows.append((int(chunk.users[position]) + 1, item + 1, tag, int(chunk.seconds[position]) + delay))
    return rows


def _write_text(path: Path, header: str, rows: list[tuple[Any, ...]]) -> None:
    partial = path.with_name(f"{path.name}.part")
    with partial.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{header}\n")
        csv.writer(file, lineterminator="\n").writerows(rows)
    partial.replace(path)


def titles(years: Ints, seed: int) -> list[str]:
    """A title for each release year, with the year in brackets; some with a comma, as "Fox, The (1998)"."""
    random = np.random.default_rng([seed, 2])
    first = random.integers(0, len(_FIRST), len(years))
    second = random.integers(0, len(_SECOND), len(years))
    style = random.random(len(years))
    sequel = random.integers(2, 5, len(years))
    made = []
    for number, year in enumerate(years.tolist()):
        words = f"{_FIRST[first[number]]} {_SECOND[second[number]]}"
        if style[number] < 0.2:
            words += ", The"
        elif style[number] < 0.25:
            words += f" {sequel[number]}"
        elif style[number] < 0.27:
            words = f'"{words}" and the {_SECOND[second[number] - 1]}'
        made.append(f"{words} ({year})")
    return made
