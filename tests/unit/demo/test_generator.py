"""Generated files: reproducible, in MovieLens' format, with long tails and preferences that can be learnt."""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import main, movielens
from cli.errors import explain
from cli.uploads.recognise import recognise
from demo import play
from demo.generator import interactions
from demo.generator.files import TAGS, Kinds, generate
from demo.generator.world import END_SECOND, GENRES, START_SECOND, Size, make

SIZE = Size(600, 3000, 60_000)
SEED = 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generated")
    generate(path, SIZE, SEED)
    return path


@pytest.fixture(scope="module")
def ratings(folder: Path) -> Any:
    """(rows, 4): user, item, stars, seconds."""
    return np.loadtxt(folder / "ratings.csv", delimiter=",", skiprows=1)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def gini(counts: Any) -> float:
    """0: all equal; 1: one has everything."""
    ordered, n = np.sort(counts), len(counts)
    return float(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum() / (n * ordered.sum()))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (Size(100, 1000, 1999), "need 2,000 ratings"),
        (Size(1, 100, 51), "at most 50 of 100 items"),
        (Size(0, 100, 10), "at least one user"),
        (Size(1, 1, 1), "two items"),
    ],
)
def test_an_impossible_size_is_refused(size: Size, words: str) -> None:
    assert words in str(size.problem())


@pytest.mark.parametrize("size", [Size(1, 2, 1), Size(1, 100, 50), Size(3, 10, 15), Size(2, 41, 40)])
def test_the_extremes_of_size_are_generated_exactly(tmp_path: Path, size: Size) -> None:
    assert size.problem() is None
    written = generate(tmp_path, size, SEED)
    found = [(row["userId"], row["movieId"]) for row in rows(tmp_path / "ratings.csv")]
    assert len(found) == len(set(found)) == written["ratings.csv"] == size.ratings


def test_existing_files_are_not_replaced_without_force(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("mine")
    arguments = ["data", "generate", str(tmp_path), "--users", "2", "--items", "50", "--ratings", "40"]
    result = CliRunner().invoke(main.app, arguments)
    assert result.exception is not None
    assert "has tags.csv already" in str(explain(result.exception))
    assert (tmp_path / "tags.csv").read_text() == "mine"
    assert CliRunner().invoke(main.app, [*arguments, "--force"]).exit_code == 0
    assert (tmp_path / "tags.csv").read_text().startswith("userId,")


def test_the_seed_decides_every_byte(folder: Path, tmp_path: Path) -> None:
    generate(tmp_path / "same", SIZE, SEED)
    generate(tmp_path / "other", SIZE, SEED + 1)
    assert digests(tmp_path / "same") == digests(folder)
    assert not digests(tmp_path / "other").items() & digests(folder).items()


def test_chunks_are_whole_users_and_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactions, "CHUNK_RATINGS", 5000)
    world = make(SIZE, SEED)
    chunks = list(interactions.draw(world, SEED))
    assert len(chunks) > 5
    users = np.concatenate([chunk.users for chunk in chunks])
    assert (np.bincount(users, minlength=SIZE.users) == world.activity).all()
    assert all(set(a.users) & set(b.users) == set() for a, b in itertools.pairwise(chunks))


def test_every_file_is_recognised_and_has_the_reported_rows(folder: Path, tmp_path: Path) -> None:
    written = generate(tmp_path, SIZE, SEED)
    for name, dataset in movielens.FILES.items():
        assert recognise(folder / name).dataset == dataset
        assert len(rows(folder / name)) == written[name]
    assert written["ratings.csv"] == SIZE.ratings


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same users with events only."""
    path = tmp_path_factory.mktemp("events")
    generate(path, SIZE, SEED, kinds=Kinds(ratings=False, events=True))
    return path


def test_without_ratings_and_without_events_nothing_is_generated(tmp_path: Path) -> None:
    result = CliRunner().invoke(main.app, ["data", "generate", str(tmp_path / "new"), "--no-ratings"])
    assert "leaves nothing to learn from: add --events" in str(explain(result.exception))  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_existing_events_are_not_replaced_without_force(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("mine")
    arguments = ["data", "generate", str(tmp_path), "--users", "2", "--items", "50", "--ratings", "40", "--events"]
    result = CliRunner().invoke(main.app, arguments)
    assert "has events.csv already" in str(explain(result.exception))  # type: ignore[arg-type]
    assert (tmp_path / "events.csv").read_text() == "mine"


def test_events_are_recognised_and_complete(events: Path, folder: Path) -> None:
    assert sorted(path.name for path in events.iterdir()) == ["events.csv", "links.csv", "movies.csv", "tags.csv"]
    assert recognise(events / "events.csv").dataset == "events"
    assert (events / "movies.csv").read_bytes() == (folder / "movies.csv").read_bytes()
    found = rows(events / "events.csv")
    assert len({row["event_id"] for row in found}) == len(found) > 1.5 * SIZE.ratings
    assert all((row["value"] != "") is (row["type"] == "purchase") for row in found)
    seconds = [int(row["occurred_at"]) for row in found]
    assert START_SECOND <= min(seconds) <= max(seconds) < END_SECOND + 7200


def test_users_click_after_a_view_and_buy_after_a_click(events: Path) -> None:
    first: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows(events / "events.csv"):
        of_pair = first.setdefault((row["user_id"], row["item_id"]), {})
        of_pair[row["type"]] = min(int(row["occurred_at"]), of_pair.get(row["type"], END_SECOND * 2))
    counts = {kind: sum(kind in pair for pair in first.values()) for kind in ("view", "click", "purchase")}
    assert counts["view"] > 1.5 * counts["click"] > 3 * counts["purchase"] > 0
    assert all(pair["view"] <= pair["click"] for pair in first.values() if "click" in pair)
    assert all(pair["click"] < pair["purchase"] for pair in first.values() if "purchase" in pair)


def test_users_buy_what_they_would_rate_high(tmp_path: Path) -> None:
    generate(tmp_path, SIZE, SEED, kinds=Kinds(events=True))
    stars = {(row["userId"], row["movieId"]): float(row["rating"]) for row in rows(tmp_path / "ratings.csv")}
    by_type: dict[str, list[float]] = {"view": [], "click": [], "purchase": []}
    for row in rows(tmp_path / "events.csv"):
        if (row["user_id"], row["item_id"]) in stars:
            by_type[row["type"]].append(stars[row["user_id"], row["item_id"]])
    viewed, clicked, bought = (float(np.mean(by_type[kind])) for kind in ("view", "click", "purchase"))
    assert viewed + 0.2 < clicked < bought - 0.2


def test_the_demo_without_real_data_generates_files_of_movielens_size(tmp_path: Path) -> None:
    made = play._generated(tmp_path, 42)
    assert movielens.missing_files(made) == []
    assert len(rows(made / "ratings.csv")) == 100_836


def test_ratings_are_movielens_shaped(ratings: Any) -> None:
    users, items, stars, seconds = ratings.T
    assert set(stars) <= {half / 2 for half in range(1, 11)}
    assert 3.2 < stars.mean() < 3.9
    assert (stars % 1 == 0).mean() > 0.65  # MovieLens: 0.70
    assert np.bincount(users.astype(int))[1:].min() >= 20
    assert (items.min(), items.max()) >= (1, 1)
    assert items.max() <= SIZE.items
    assert seconds.min() >= START_SECOND
    assert seconds.max() < END_SECOND


def test_popularity_and_activity_have_long_tails(ratings: Any) -> None:
    items = np.bincount(ratings[:, 1].astype(int))
    items = items[items > 0]
    users = np.bincount(ratings[:, 0].astype(int))[1:]
    assert 0.5 < gini(items) < 0.85  # MovieLens: 0.72
    assert 0.35 < gini(users) < 0.75  # MovieLens: 0.60
    top = np.sort(items)[::-1][: len(items) // 10].sum() / items.sum()
    assert top > 0.4  # MovieLens: 0.60
    assert users.max() > 8 * np.median(users)


def test_users_rate_in_sessions(ratings: Any) -> None:
    days = [len(np.unique(ratings[ratings[:, 0] == user, 3] // 86_400)) for user in range(1, 200)]
    assert np.median(days) < 12  # of some 100 ratings each


def test_nothing_is_rated_before_its_year_by_more_than_a_year(folder: Path, ratings: Any) -> None:
    year = {int(row["movieId"]): int(row["title"][-5:-1]) for row in rows(folder / "movies.csv")}
    rated = 1970 + ratings[:, 3] / 31_556_952
    released = np.array([year[int(item)] for item in ratings[:, 1]])
    early = rated + 1 < released
    assert early.mean() < 0.01


def _genres(folder: Path) -> Any:
    """(items + 1, genres) shares that sum to 1, or 0 where none is listed."""
    names = list(GENRES)
    made = np.zeros((SIZE.items + 1, len(names)))
    for row in rows(folder / "movies.csv"):
        for genre in row["genres"].split("|"):
            if genre in names:
                made[int(row["movieId"]), names.index(genre)] = 1
    return made / np.maximum(made.sum(axis=1, keepdims=True), 1)


def test_biases_and_genre_preferences_can_be_learnt(folder: Path, ratings: Any) -> None:
    held = np.random.default_rng(0).random(len(ratings)) < 0.2
    error = _error(ratings, held)
    users, items = ratings[:, 0].astype(int), ratings[:, 1].astype(int)
    mean = ratings[~held, 2].mean()
    by_item = _shrunk(items, ratings[:, 2] - mean, ~held, 5)
    by_user = _shrunk(users, ratings[:, 2] - mean - by_item[items], ~held, 5)
    biases = mean + by_item[items] + by_user[users]
    genres = _genres(folder)
    preference = np.zeros((SIZE.users + 1, genres.shape[1]))
    weight = np.zeros_like(preference)
    rest = ratings[:, 2] - biases
    np.add.at(preference, users[~held], genres[items[~held]] * rest[~held, None])
    np.add.at(weight, users[~held], genres[items[~held]] ** 2)
    preferences = (genres[items] * (preference / (weight + 3))[users]).sum(axis=1)
    assert error(np.full(len(ratings), mean)) - error(biases) > 0.05
    assert error(biases) - error(biases + preferences) > 0.01


def _error(ratings: Any, held: Any) -> Callable[[Any], float]:
    return lambda predicted: float(np.sqrt(np.mean((np.clip(predicted, 0.5, 5) - ratings[:, 2])[held] ** 2)))


def _shrunk(ids: Any, values: Any, known: Any, prior: float) -> Any:
    sums = np.bincount(ids[known], values[known], minlength=ids.max() + 1)
    return sums / (np.bincount(ids[known], minlength=ids.max() + 1) + prior)


def test_users_choose_by_preference_beyond_popularity(folder: Path, ratings: Any) -> None:
    genres, world = _genres(folder), make(SIZE, SEED)
    drama = list(GENRES).index("Drama")
    share = np.array([genres[ratings[ratings[:, 0] == user + 1, 1].astype(int), drama].mean() for user in range(200)])
    assert np.corrcoef(share, world.preferences[:200, drama])[0, 1] > 0.4


def test_tags_fit_their_items_and_some_need_quotes(folder: Path) -> None:

    genres = {row["movieId"]: set(row["genres"].split("|")) for row in rows(folder / "movies.csv")}
    fitting = total = 0
    for row in rows(folder / "tags.csv"):
        own = {word for genre in genres[row["movieId"]] for word in TAGS.get(genre, ())}
        fitting += row["tag"] in own or row["tag"] in TAGS[""]
        total += 1
    assert total > 1000
    assert fitting / total > 0.95
    assert '"visually, stunning"' in (folder / "tags.csv").read_text(encoding="utf-8")
    assert ", The (" in (folder / "movies.csv").read_text(encoding="utf-8")


def test_preferences_differ_from_the_average_as_much_as_in_movielens(folder: Path, ratings: Any) -> None:
    """Mean Jensen-Shannon divergence of a user's genres from the average, in nats; MovieLens: 0.037."""
    genres = _genres(folder)
    share = np.array([genres[ratings[ratings[:, 0] == user + 1, 1].astype(int)].sum(axis=0) for user in range(200)])
    share /= share.sum(axis=1, keepdims=True)
    average = share.mean(axis=0)
    middle = (share + average) / 2
    logs = [np.log(np.maximum(one, 1e-12) / np.maximum(middle, 1e-12)) for one in (share, average)]
    divergence = ((share * logs[0]).sum(axis=1) + (average * logs[1]).sum(axis=1)) / 2
    assert 0.025 < divergence.mean() < 0.06
