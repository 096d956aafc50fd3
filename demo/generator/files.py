"""Write a generated world as MovieLens' four files, and what its people did as a fifth."""

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

from demo.generator import events, ratings
from demo.generator.events import Events
from demo.generator.ratings import Chunk
from demo.generator.titles import TAGS, titles
from demo.generator.world import GENRES, Size, World, make

#: One rating in so many has a tag beside it, as in MovieLens (3,683 tags on 100,836 ratings).
_RATINGS_PER_TAG = 27
_STARS = pa.array([f"{half / 2}" for half in range(11)])
_NAMES = list(GENRES)


@dataclass(frozen=True, slots=True)
class Kinds:
    """What is written of what people say and do, beside their tags."""

    ratings: bool = True
    events: bool = False

    @property
    def files(self) -> dict[str, str]:
        """File → its header's line."""
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

    progress: is told how many ratings were drawn, chunk by chunk. A file appears under its name when it is whole.
    """
    world = make(size, seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = {"movies.csv": size.items, "links.csv": size.items}
    _write_text(folder / "movies.csv", "movieId,title,genres", _movies(world, seed))
    _write_text(folder / "links.csv", "movieId,imdbId,tmdbId", _links(size.items, seed))
    return rows | _write_people(folder, world, seed, progress, kinds)


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


def _write_people(
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
        for chunk, deeds in events.follow(world, seed, ratings.draw(world, seed)):
            if kinds.ratings:
                _append_ratings(files["ratings.csv"], chunk)
                rows["ratings.csv"] += len(chunk.users)
            if kinds.events:
                _append_events(files["events.csv"], deeds, rows["events.csv"])
                rows["events.csv"] += len(deeds)
            tags += _tags(random, world, chunk)
            progress(len(chunk.users))
    for name in kinds.files:
        (folder / f"{name}.part").replace(folder / name)
    _write_text(folder / "tags.csv", "userId,movieId,tag,timestamp", tags)
    return {**rows, "tags.csv": len(tags)}


def _append_events(file: BinaryIO, deeds: Events, written: int) -> None:
    ids = pa.array([f"e{number}" for number in range(written + 1, written + 1 + len(deeds))])
    types = pa.DictionaryArray.from_arrays(pa.array(deeds.types.astype(np.int8)), pa.array(events.TYPES)).cast(
        pa.string()
    )
    worth = pa.array(deeds.prices, mask=deeds.prices == 0)
    columns = [ids, deeds.users + 1, deeds.items + 1, types, worth, deeds.seconds]
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
