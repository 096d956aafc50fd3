"""The demo's deliveries: split by time, without overlap, and without the last tenth of the ratings."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from demo.data_split import Deliveries, Delivery, split
from demo.generator.files import generate
from demo.generator.world import Size
from demo.simulated_users.history import History, read_history


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    generate(folder, Size(60, 300, 3000), 5)
    return folder


@pytest.fixture(scope="module")
def history(folder: Path) -> History:
    return read_history(folder / "ratings.csv")


@pytest.fixture(scope="module")
def deliveries(folder: Path, history: History, tmp_path_factory: pytest.TempPathFactory) -> Deliveries:
    return split(folder, history, tmp_path_factory.mktemp("split"))


def rows(part: Delivery, name: str) -> list[list[str]]:
    with part.files[name].open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def test_the_deliveries_are_the_first_70_and_the_next_20_percent_by_time(
    deliveries: Deliveries, history: History
) -> None:
    first, second = (rows(part, "ratings.csv") for part in (deliveries.first, deliveries.second))
    assert (len(first), len(second), deliveries.hidden) == (2100, 600, 300)
    assert deliveries.known_rows == (2100, 2700)
    assert max(int(row[3]) for row in first) <= min(int(row[3]) for row in second)
    assert max(int(row[3]) for row in second) <= history.seconds[2700]


def test_no_rating_of_the_last_tenth_is_in_a_file(deliveries: Deliveries, history: History) -> None:
    sent = {tuple(row[:2]) for part in (deliveries.first, deliveries.second) for row in rows(part, "ratings.csv")}
    hidden = {
        (history.user_ids[user], history.item_ids[item])
        for user, item in zip(history.user[2700:].tolist(), history.item[2700:].tolist(), strict=True)
    }
    assert hidden and not hidden & sent


def test_ratings_are_delivered_unchanged(deliveries: Deliveries, folder: Path) -> None:
    with (folder / "ratings.csv").open(newline="") as file:
        original = {tuple(row[:2]): (float(row[2]), row[3]) for row in list(csv.reader(file))[1:]}
    for part in (deliveries.first, deliveries.second):
        for row in rows(part, "ratings.csv"):
            assert original[row[0], row[1]] == (float(row[2]), row[3])


def test_an_item_is_delivered_once_and_not_later_than_its_first_rating(deliveries: Deliveries) -> None:
    for name in ("movies.csv", "links.csv"):
        first, second = ({row[0] for row in rows(part, name)} for part in (deliveries.first, deliveries.second))
        assert first and second and not first & second
        assert {row[1] for row in rows(deliveries.first, "ratings.csv")} <= first
        assert {row[1] for row in rows(deliveries.second, "ratings.csv")} <= first | second


def test_an_item_that_only_the_hidden_ratings_name_is_not_delivered(deliveries: Deliveries, history: History) -> None:
    before = {history.item_ids[item] for item in history.item[:2700].tolist()}
    late = {history.item_ids[item] for item in history.item[2700:].tolist()} - before
    tagged = {row[1] for part in (deliveries.first, deliveries.second) for row in rows(part, "tags.csv")}
    given = {row[0] for part in (deliveries.first, deliveries.second) for row in rows(part, "movies.csv")}
    assert not (late - tagged) & given


def test_a_delivery_counts_its_own_rows(deliveries: Deliveries) -> None:
    for part in (deliveries.first, deliveries.second):
        assert part.total == sum(len(rows(part, name)) for name in part.files)
        assert {name: len(rows(part, name)) for name in part.files} == {k: v for k, v in part.rows.items() if v}
