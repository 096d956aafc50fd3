"""The demo's deliveries: by time, nothing twice, and the last tenth of the ratings in none of them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from demo.generator.files import generate
from demo.generator.world import Size
from demo.phases import Part, Phases, cut
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
def phases(folder: Path, history: History, tmp_path_factory: pytest.TempPathFactory) -> Phases:
    return cut(folder, history, tmp_path_factory.mktemp("cut"))


def rows(part: Part, name: str) -> list[list[str]]:
    with part.files[name].open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def test_the_deliveries_are_the_first_70_and_the_next_20_percent_by_time(phases: Phases, history: History) -> None:
    first, second = (rows(part, "ratings.csv") for part in (phases.first, phases.second))
    assert (len(first), len(second), phases.hidden) == (2100, 600, 300)
    assert phases.known_rows == (2100, 2700)
    assert max(int(row[3]) for row in first) <= min(int(row[3]) for row in second)
    assert max(int(row[3]) for row in second) <= history.seconds[2700]


def test_no_rating_of_the_last_tenth_is_in_a_file(phases: Phases, history: History) -> None:
    sent = {tuple(row[:2]) for part in (phases.first, phases.second) for row in rows(part, "ratings.csv")}
    hidden = {
        (history.person_ids[person], history.item_ids[item])
        for person, item in zip(history.person[2700:].tolist(), history.item[2700:].tolist(), strict=True)
    }
    assert hidden and not hidden & sent


def test_ratings_go_out_as_they_were_in_the_file(phases: Phases, folder: Path) -> None:
    with (folder / "ratings.csv").open(newline="") as file:
        original = {tuple(row[:2]): (float(row[2]), row[3]) for row in list(csv.reader(file))[1:]}
    for part in (phases.first, phases.second):
        for row in rows(part, "ratings.csv"):
            assert original[row[0], row[1]] == (float(row[2]), row[3])


def test_an_item_comes_once_and_not_later_than_its_first_rating(phases: Phases) -> None:
    for name in ("movies.csv", "links.csv"):
        first, second = ({row[0] for row in rows(part, name)} for part in (phases.first, phases.second))
        assert first and second and not first & second
        assert {row[1] for row in rows(phases.first, "ratings.csv")} <= first
        assert {row[1] for row in rows(phases.second, "ratings.csv")} <= first | second


def test_an_item_that_only_the_hidden_tenth_rates_never_comes(phases: Phases, history: History) -> None:
    before = {history.item_ids[item] for item in history.item[:2700].tolist()}
    late = {history.item_ids[item] for item in history.item[2700:].tolist()} - before
    tagged = {row[1] for part in (phases.first, phases.second) for row in rows(part, "tags.csv")}
    given = {row[0] for part in (phases.first, phases.second) for row in rows(part, "movies.csv")}
    assert not (late - tagged) & given


def test_the_parts_count_their_own_rows(phases: Phases) -> None:
    for part in (phases.first, phases.second):
        assert part.total == sum(len(rows(part, name)) for name in part.files)
        assert {name: len(rows(part, name)) for name in part.files} == {k: v for k, v in part.rows.items() if v}
