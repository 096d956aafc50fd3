"""MovieLens' latest-small as arrays, and the splits of the protocols in docs/models.md."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pyarrow import csv

from usher_models.evaluation.window import Window, split_window
from usher_models.ratings import Bool, Int64, Items, Ratings
from usher_scorer.catalogue import Catalogue

ROOT = Path(__file__).parents[1]
_YEAR = re.compile(r"\((\d{4})\)\s*$")


def data_folder() -> Path:
    """The folder with ratings.csv: USHER_DATA, else the one beside the repository. Exits when it is missing."""
    folder = Path(os.environ.get("USHER_DATA") or ROOT.parent / "shared/data/ml-latest-small")
    if not (folder / "ratings.csv").is_file():
        raise SystemExit(f"{folder} has no ratings.csv: set USHER_DATA to a folder with MovieLens' latest-small")
    return folder


def load(folder: Path, tags_before_us: float = float("inf")) -> tuple[Ratings, Items]:
    """Ratings in file order and the rated movies in the order of their ids, with the tags given before that time."""
    rows = csv.read_csv(folder / "ratings.csv")
    _, user = np.unique(rows.column("userId").to_numpy(), return_inverse=True)
    ids, item = np.unique(rows.column("movieId").to_numpy(), return_inverse=True)
    value, time_us = rows.column("rating").to_numpy(), rows.column("timestamp").to_numpy() * 1_000_000
    ratings = Ratings(user.astype(np.int32), item.astype(np.int32), value.astype(np.float32), time_us)
    return ratings, _items(folder, ids, tags_before_us)


def _items(folder: Path, ids: Int64, tags_before_us: float) -> Items:
    movies = csv.read_csv(folder / "movies.csv").to_pydict()
    place = {movie: n for n, movie in enumerate(ids.tolist())}
    titles, genres, years = [""] * len(ids), [()] * len(ids), np.zeros(len(ids), np.int64)
    for movie, title, names in zip(movies["movieId"], movies["title"], movies["genres"], strict=True):
        if movie in place:
            n = place[movie]
            titles[n], genres[n] = title, tuple(names.split("|"))
            found = _YEAR.search(title)
            years[n] = int(found[1]) if found else 0
    catalogue = Catalogue(tuple(map(str, ids)), tuple(titles), tuple(genres), years, np.full(len(ids), np.nan))
    return Items(catalogue, tuple(_tags(folder, place, tags_before_us)))


def _tags(folder: Path, place: dict[int, int], before_us: float) -> Iterator[tuple[str, ...]]:
    tags = csv.read_csv(folder / "tags.csv", parse_options=csv.ParseOptions(newlines_in_values=True)).to_pydict()
    found: list[set[str]] = [set() for _ in place]
    for movie, tag, seconds in zip(tags["movieId"], tags["tag"], tags["timestamp"], strict=True):
        if movie in place and seconds * 1_000_000 < before_us:
            found[place[movie]].add(str(tag).strip().lower())
    return (tuple(sorted(own)) for own in found)


def random_split(ratings: Ratings, share: float, seed: int) -> tuple[Ratings, Ratings]:
    """P1, P2: the first round(n * share) rows of a permutation are the test part; rows stay in file order."""
    order = np.random.RandomState(seed).permutation(len(ratings))
    cut = round(len(ratings) * share)
    return ratings.take(np.sort(order[cut:])), ratings.take(np.sort(order[:cut]))


def last_of_each_user(ratings: Ratings, share: float = 0.2) -> tuple[Ratings, Ratings]:
    """P3u, P4: test = each user's last floor(share * n) rows by (timestamp, movie), at least one of two or more."""
    order = np.lexsort((ratings.item, ratings.time_us, ratings.user))
    count = np.bincount(ratings.user)
    place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    held = np.floor(share * count + 1e-9).astype(int)
    held = np.where(count >= 2, np.maximum(held, 1), held)
    late = place >= (count - held)[ratings.user[order]]
    test: Bool = np.zeros(len(ratings), np.bool_)
    test[order[late]] = True
    return ratings.take(~test), ratings.take(test)


def last_of_all(ratings: Ratings, start: float = 0.8, stop: float = 1.0) -> tuple[Ratings, Ratings]:
    """P3g, P5: rows by time; before round(start * n), and from there to round(stop * n)."""
    order = np.argsort(ratings.time_us, kind="stable")
    low, high = round(len(ratings) * start), round(len(ratings) * stop)
    return ratings.take(np.sort(order[:low])), ratings.take(order[low:high])


def whole_profiles(train: Ratings, test: Ratings) -> Window:
    """P2, P3, P4: everything in `train` is the profile, everything in `test` comes later."""
    users = np.unique(test.user).astype(np.int64)
    rows = test.take(np.lexsort((test.item, test.user)))
    return Window(
        users,
        train.profiles(users),
        np.isin(users, train.user),
        np.searchsorted(users, rows.user),
        rows.item.astype(np.int64),
        rows.value,
    )


def gate_window(train: Ratings, window: Ratings) -> Window:
    """P5."""
    return split_window(train, window)
