"""A small world with two tastes, and the bundle that Usher makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usher.algorithms import ALGORITHMS
from usher.algorithms.definition import load_entry_point
from usher_models.artifacts import TrainingResult
from usher_models.container import parse
from usher_models.evaluation.build_bundle import Prepared, build_bundle
from usher_models.ratings import Items, Ratings
from usher_scorer.bundle import Bundle, load
from usher_scorer.catalogue import Catalogue

USERS, ITEMS = 120, 40
DAY_US = 86_400_000_000
START_US = 1_600_000_000_000_000
SMALL = {
    "fm": {"num_factors": "4", "epochs": "24", "samples": "6"},
    "knn": {"k": "8", "shrinkage": "1"},
    "ranker": {"regularization": "20"},
}

Rows = Iterable[tuple[int, int, float, int]]


def make_ratings(rows: Rows) -> Ratings:
    """From (user, item, rating, day)."""
    user, item, value, day = (np.array(column) for column in zip(*rows, strict=True))
    return Ratings(
        user.astype(np.int32), item.astype(np.int32), value.astype(np.float32), START_US + day.astype(np.int64) * DAY_US
    )


def make_items(count: int) -> Items:
    """Even items are comedies of 1990, odd ones dramas of 2010; the last two have no ratings in the small world."""
    catalogue = Catalogue(
        tuple(f"m{n}" for n in range(count)),
        tuple(f"Title {n}" for n in range(count)),
        tuple(("Drama",) if n % 2 else ("Comedy", "Family") for n in range(count)),
        np.array([2010 if n % 2 else 1990 for n in range(count)], np.int64),
        np.full(count, np.nan),
    )
    return Items(catalogue, tuple(("slow",) if n % 2 else () for n in range(count)))


def small_world() -> Ratings:
    """Even users love even items, odd users odd ones; what they rate and when is drawn with a fixed seed."""
    random = np.random.default_rng(7)
    rows: list[tuple[int, int, float, int]] = []
    for user in range(USERS):
        for item in sorted(random.choice(ITEMS - 2, 16, replace=False).tolist()):
            liked = user % 2 == item % 2
            rating = random.choice([3.0, 4.0, 4.5, 5.0] if liked else [1.0, 2.0, 3.5])
            rows.append((user, item, float(rating), int(random.integers(0, 300))))
    return make_ratings(rows)


def fit_result(name: str, ratings: Ratings, items: Items, given: Mapping[str, str] | None = None) -> TrainingResult:
    algorithm = ALGORITHMS[name]
    values = parse(SMALL[name] if given is None else given, algorithm)
    artifact = load_entry_point(algorithm.fit)(ratings, items, values)
    written = {key: str(value) for key, value in values.items()}
    return TrainingResult(name, artifact, written, {}, len(items), len(ratings), int(ratings.time_us.max()))


def prepare_world(ratings: Ratings, items: Items, split_day: int, run_id: str = "rtest-1") -> Prepared:
    split_us = START_US + split_day * DAY_US
    summary = {"run_id": run_id, "snapshots": {"ratings": 1}, "split_at_us": split_us}
    inside = ratings.time_us >= split_us
    users = tuple(f"u{n}" for n in range(ratings.users))
    return Prepared(summary, ratings.take(~inside), ratings.take(inside), items, users)


@pytest.fixture
def rated() -> Callable[[Rows], Ratings]:
    return make_ratings


@pytest.fixture
def nameless() -> Callable[[int], Items]:
    return make_items


@pytest.fixture
def fit() -> Callable[..., TrainingResult]:
    return fit_result


@pytest.fixture(scope="session")
def items() -> Items:
    return make_items(ITEMS)


@pytest.fixture(scope="session")
def world() -> Ratings:
    return small_world()


@pytest.fixture(scope="session")
def prepared(world: Ratings, items: Items) -> Prepared:
    return prepare_world(world, items, 240)


@pytest.fixture(scope="session")
def trained(prepared: Prepared) -> list[TrainingResult]:
    return [fit_result(name, prepared.before, prepared.items) for name in SMALL]


@pytest.fixture(scope="session")
def bundle_folder(prepared: Prepared, trained: list[TrainingResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: a test that damages a bundle copies it first."""
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    build_bundle(prepared, trained, folder)
    return folder


@pytest.fixture(scope="session")
def bundle(bundle_folder: Path) -> Bundle:
    return load(bundle_folder)


@pytest.fixture
def make_prepared() -> Callable[..., Prepared]:
    return prepare_world


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Path]:
    """A container's root with hyperparameters and channels: name → ratings or items, written as prepare writes them."""

    def make(hyperparameters: Mapping[str, Any], **channels: Ratings | Items) -> Path:
        root = tmp_path / "ml"
        (root / "input/config").mkdir(parents=True)
        (root / "input/config/hyperparameters.json").write_text(json.dumps(hyperparameters))
        for name, content in channels.items():
            write_channel(root / "input/data" / name, content)
        return root

    return make


def write_channel(folder: Path, content: Ratings | Items) -> None:
    import pyarrow as pa  # noqa: PLC0415 - only these tests write Parquet
    import pyarrow.parquet as pq  # noqa: PLC0415

    folder.mkdir(parents=True)
    if isinstance(content, Ratings):
        columns = {"user": content.user, "item": content.item, "rating": content.value, "rated_at_us": content.time_us}
        columns |= {"kind": content.kind} if content.kind.any() else {}
        pq.write_table(pa.table(columns), folder / "result-0.parquet")
        return
    catalogue = content.catalogue
    table = pa.table(
        {
            "item": pa.array(range(len(content)), pa.int32()),
            "item_id": list(catalogue.ids),
            "title": list(catalogue.titles),
            "genres": pa.array([list(names) for names in catalogue.genres], pa.list_(pa.string())),
            "year": pa.array(catalogue.years.tolist(), pa.int32()),
            "released_at_us": pa.nulls(len(content), pa.int64()),
            "tags": pa.array([list(own) for own in content.tags], pa.list_(pa.string())),
        }
    )
    pq.write_table(table, folder / "result-0.parquet")


def write_csv(root: Path, world: Ratings, items: Items) -> None:
    ratings, catalogue = root / "processing/input/ratings", root / "processing/input/items"
    ratings.mkdir(parents=True)
    catalogue.mkdir(parents=True)
    rows = zip(world.user, world.item, world.value, world.time_us // 1_000_000, strict=True)
    lines = [f"u{u},m{i},{v},{t}" for u, i, v, t in rows]
    (ratings / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    described = [f"m{n},Title {n},{'|'.join(items.catalogue.genres[n])}" for n in range(len(items))]
    (catalogue / "movies.csv").write_text("\n".join(["movieId,title,genres", *described]) + "\n")


@pytest.fixture(scope="session")
def raw_files() -> Callable[..., None]:
    """Writes ratings and items as CSV into a processing job's inputs."""
    return write_csv
