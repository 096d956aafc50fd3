"""Prepare: refused data first, then what the SQL promises: the latest rating wins, time splits, ids are dense."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from usher_models.container import Paths
from usher_models.errors import DataError
from usher_models.evaluation.window import split_window
from usher_models.prepare.program import prepare
from usher_models.ratings import read_items, read_ratings, read_users

HEADERS = {
    "ratings": ("userId", "movieId", "rating", "timestamp"),
    "items": ("movieId", "title", "genres"),
    "tags": ("userId", "movieId", "tag", "timestamp"),
}
Root = Callable[..., Paths]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    def make(plan: dict[str, Any] | None = None, **datasets: Iterable[tuple[Any, ...]]) -> Paths:
        paths = Paths(tmp_path)
        for name, rows in datasets.items():
            folder = paths.processing_input(name)
            folder.mkdir(parents=True)
            with (folder / "rows.csv").open("w", newline="") as file:
                csv.writer(file).writerows([HEADERS[name], *rows])
        if plan is not None:
            paths.processing_input("plan").mkdir(parents=True)
            (paths.processing_input("plan") / "plan.json").write_text(json.dumps(plan))
        return paths

    return make


def spread(count: int) -> list[tuple[Any, ...]]:
    """One rating a day, five users, ten items."""
    return [(n % 5, n % 10 + 100, 4.0, 1_000_000_000 + n * 86_400) for n in range(count) if n < 10 or n % 10 != n % 5]


def test_without_ratings_it_says_what_to_upload(root: Root) -> None:
    with pytest.raises(DataError, match="the snapshot has no ratings, purchases or clicks"):
        prepare(root())


@pytest.mark.parametrize("bad", ["9", "0.4", "nan", "", "3222687"])
def test_what_is_no_rating_is_refused_and_quoted(root: Root, bad: str) -> None:
    with pytest.raises(DataError, match="1 of 21 ratings lack"):
        prepare(root(ratings=[*[(n, 1, 4.0, n + 1) for n in range(20)], (1, 2, bad, 99)]))


def test_another_schema_names_what_is_missing_and_what_is_there(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.processing_input("ratings").mkdir(parents=True)
    (paths.processing_input("ratings") / "rows.csv").write_text("who,what\n1,2\n")
    with pytest.raises(DataError, match="user_id, item_id, rating, rated_at_us are missing; there are who, what"):
        prepare(paths)


@pytest.mark.parametrize("content", [b"PAR1 is not enough", b""])
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    paths = Paths(tmp_path)
    paths.processing_input("ratings").mkdir(parents=True)
    (paths.processing_input("ratings") / "rows.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"rows\.parquet cannot be read"):
        prepare(paths)


@pytest.mark.parametrize("rows", [[(1, 1, 4.0, 5)], [(n, 1, 4.0, 7) for n in range(50)]])
def test_what_cannot_be_split_by_time_says_why(root: Root, rows: list[tuple[Any, ...]]) -> None:
    with pytest.raises(DataError, match="lies before the split at 1970"):
        prepare(root(ratings=rows))


@pytest.mark.parametrize("text", ["{", "[]", '{"snapshots": {"ratings": "x"}, "run_id": "r"}', "{}"])
def test_a_plan_of_another_shape_is_refused(root: Root, text: str) -> None:
    paths = root(plan={}, ratings=spread(20))
    (paths.processing_input("plan") / "plan.json").write_text(text)
    with pytest.raises(DataError, match="is not the plan of a run"):
        prepare(paths)


def test_the_last_fifth_is_the_window_and_a_tenth_before_it_validation(root: Root) -> None:
    rows = [(n % 7, n, 4.0, 1_000_000 + n) for n in range(100)]
    paths = root(ratings=rows)
    summary = prepare(paths)
    assert summary["rows"] == {"train": 72, "validation": 8, "test": 20}
    output = paths.processing_output("prepared")
    trained = [read_ratings(output / name, name) for name in ("train", "validation", "test")]
    assert trained[0].time_us.max() < trained[1].time_us.min() <= trained[1].time_us.max() < trained[2].time_us.min()
    assert trained[2].time_us.min() == summary["split_at_us"] == (1_000_000 + 80) * 1_000_000


def test_rows_of_one_moment_stay_on_one_side(root: Root) -> None:
    rows = [(n, n, 4.0, 1_000_000 + n // 15) for n in range(100)]
    paths = root(ratings=rows)
    prepare(paths)
    output = paths.processing_output("prepared")
    before, inside = (set(read_ratings(output / name, name).time_us.tolist()) for name in ("validation", "test"))
    assert not before & inside


def test_no_champion_is_evaluated_on_rows_that_it_was_fitted_on(root: Root) -> None:
    rows = [(n % 7, n, 4.0, 1_000_000 + n) for n in range(100)]
    plan = {"run_id": "r1", "champion": {"trained_until": "1970-01-12T13:48:10+00:00"}}
    summary = prepare(root(plan=plan, ratings=rows))
    assert summary["split_at_us"] == (1_000_000 + 90) * 1_000_000
    assert summary["rows"]["test"] == 10


def test_a_champion_that_has_seen_everything_leaves_an_empty_window(root: Root) -> None:
    rows = [(n % 7, n, 4.0, 1_000_000 + n) for n in range(100)]
    plan = {"run_id": "r1", "champion": {"trained_until": "2030-01-01"}}
    assert prepare(root(plan=plan, ratings=rows))["rows"] == {"train": 90, "validation": 10, "test": 0}


def test_the_latest_rating_of_an_item_wins(root: Root) -> None:
    rows = [*spread(50), (0, 100, 1.0, 1_000_000_000 + 1), (0, 100, 2.0, 900_000_000)]
    paths = root(ratings=rows)
    prepare(paths)
    output = paths.processing_output("prepared")
    train = read_ratings(output / "train", "train")
    users, items = read_users(output / "users", "users"), read_items(output / "items", "items")
    user, item = users.index("0"), items.catalogue.ids.index("100")
    mine = train.take((train.user == user) & (train.item == item))
    assert mine.value.tolist() == [1.0]


def test_an_item_rated_again_after_the_split_stays_what_it_was_before_it(root: Root) -> None:
    """Else a champion is judged on the pair that it was artifact on, and the candidate misses it."""
    last = 1_000_000_000 + 60 * 86_400
    paths = root(ratings=[*spread(50), (0, 101, 1.0, 999_999_999), (0, 101, 5.0, last)])
    prepare(paths)
    output = paths.processing_output("prepared")
    train, test = (read_ratings(output / result, result) for result in ("train", "test"))
    users, items = read_users(output / "users", "users"), read_items(output / "items", "items")
    user, item = users.index("0"), items.catalogue.ids.index("101")
    before, after = (rows.take((rows.user == user) & (rows.item == item)) for rows in (train, test))
    assert (before.value.tolist(), after.value.tolist()) == ([1.0], [5.0])
    window = split_window(train, test)
    asked = window.later_item[window.later_user == np.searchsorted(window.users, user)]
    assert item not in asked
    both = train.join(test).strongest()
    assert both.take(both.pairs == before.pairs[0]).value.tolist() == [5.0]


def test_ids_are_dense_and_in_the_order_of_the_first_rating(root: Root) -> None:
    rows = [(f"u{9 - n % 10}", f"i{n}", 4.0, 1_000_000 + n) for n in range(60)]
    paths = root(ratings=rows, items=[("unrated", "Never (1999)", "Drama")])
    prepare(paths)
    output = paths.processing_output("prepared")
    assert read_users(output / "users", "users") == tuple(f"u{9 - n}" for n in range(10))
    assert read_items(output / "items", "items").catalogue.ids == (*(f"i{n}" for n in range(60)), "unrated")


def test_items_get_year_genres_and_the_tags_from_before_the_split(root: Root) -> None:
    items = [(100, "Heat (1995)", "Action|Crime"), (101, "No year", "(no genres listed)")]
    tags = [(1, 100, " Slow Burn ", 1), (2, 100, "slow burn", 2), (3, 100, "leak", 4_000_000_000), (4, 100, " ", 1)]
    paths = root(ratings=spread(50), items=items, tags=tags)
    prepare(paths)
    found = read_items(paths.processing_output("prepared") / "items", "items")
    heat, other = (found.catalogue.ids.index(item) for item in ("100", "101"))
    assert found.catalogue.titles[heat] == "Heat (1995)"
    assert (found.catalogue.genres[heat], found.catalogue.genres[other]) == (("Action", "Crime"), ())
    assert (found.catalogue.years[heat], found.catalogue.years[other]) == (1995, 0)
    assert found.tags[heat] == ("slow burn",)
    assert found.catalogue.titles[found.catalogue.ids.index("109")] == "109"


def test_parquet_with_timestamps_is_read_to_the_microsecond(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    folder = paths.processing_input("ratings")
    folder.mkdir(parents=True)
    times = pa.array(np.arange(100) * 1_000_001 + 7, pa.timestamp("us", tz="UTC"))
    columns = {
        "user_id": [f"u{n % 9}" for n in range(100)],
        "item_id": [f"i{n}" for n in range(100)],
        "rating": [3.5] * 100,
        "rated_at": times,
    }
    pq.write_table(pa.table(columns), folder / "result.parquet")
    prepare(paths)
    train = read_ratings(paths.processing_output("prepared") / "train", "train")
    assert train.time_us.min() == 7


def test_the_same_input_gives_the_same_bytes(root: Root, tmp_path: Path) -> None:
    paths = root(ratings=spread(80))
    prepare(paths)
    files = sorted(paths.processing_output("prepared").rglob("*.*"))
    first = [file.read_bytes() for file in files]
    prepare(paths)
    assert [file.read_bytes() for file in files] == first
