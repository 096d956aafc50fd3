"""Following: rows go as they are written, through rotation by rename and by copy, until the agent is told to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.agent import delivery, watch

HEADER = "userId,movieId,rating,timestamp\n"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(delivery, "LONGEST_DELAY_SECONDS", 0.05)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ratings.csv"


@pytest.fixture
def arrived(firehose: Any, until: Any) -> Any:
    """`arrived(0, 10)`: waits until exactly the users 0 to 9 have arrived, each once."""

    def wait(first: int, end: int) -> None:
        until(lambda: len(firehose.rows) >= end - first)
        assert sorted(int(row["user_id"]) for row in firehose.rows) == list(range(first, end))

    return wait


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_rows_are_sent_as_they_are_written_and_a_half_written_one_waits(
    agents: Any, firehose: Any, ratings: Any, arrived: Any, path: Path
) -> None:
    running = agents.follow(path)
    path.write_text(HEADER + ratings(0, 3))
    arrived(0, 3)
    append(path, "3,1,4.5,15000")
    append(path, "00003\n" + ratings(4, 6))
    arrived(0, 6)
    append(path, "6,1,4.")
    done = running.end()
    assert (done.rows, done.lag_bytes) == (6, 6)
    assert "ratings.csv does not exist yet" in running.told[0]
    append(path, "5,1500000006\n")
    agents(path)
    arrived(0, 7)


def test_a_file_rotated_by_rename_is_read_to_its_end_before_the_new_one(
    agents: Any, firehose: Any, ratings: Any, arrived: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 10))
    running = agents.follow(path)
    arrived(0, 10)
    old = path.with_name("ratings.csv.1")
    path.rename(old)
    append(old, ratings(10, 14))  # its writer has it open for a while yet
    path.write_text(HEADER + ratings(14, 16))
    arrived(0, 16)
    append(path, ratings(16, 18))
    arrived(0, 18)
    running.end()
    assert agents(path).rows == 0


def test_a_new_file_without_a_header_takes_the_old_ones(
    agents: Any, firehose: Any, ratings: Any, arrived: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 10))
    running = agents.follow(path)
    arrived(0, 10)
    path.rename(path.with_name("ratings.csv.1"))
    path.write_text(ratings(10, 20))
    arrived(0, 20)
    running.end()


def test_a_file_rotated_by_copy_and_truncation_loses_nothing(
    agents: Any, firehose: Any, ratings: Any, arrived: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 10))
    running = agents.follow(path)
    arrived(0, 10)
    # The copy has rows that the agent cannot have seen in the file: written and cut off between two looks.
    path.with_name("ratings.csv.1").write_text(HEADER + ratings(0, 15))
    path.write_text(HEADER + ratings(15, 18))
    arrived(0, 18)
    assert any("was truncated after" in line and "lost" not in line for line in running.told)
    running.end()
    assert agents(path).rows == 0


def test_a_truncation_without_a_copy_is_told(
    agents: Any, firehose: Any, ratings: Any, arrived: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 10))
    running = agents.follow(path)
    arrived(0, 10)
    path.write_text(HEADER)
    append(path, ratings(10, 12))
    arrived(0, 12)
    running.end()
    assert any("was truncated" in line and "there is no copy beside it" in line for line in running.told)


def test_a_pattern_takes_in_new_files_and_rotated_ones_once(
    agents: Any, firehose: Any, ratings: Any, arrived: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 10))
    running = agents.follow(path.with_name("ratings.csv*"))
    arrived(0, 10)
    path.rename(path.with_name("ratings.csv.1"))
    path.write_text(HEADER + ratings(10, 20))
    arrived(0, 20)
    path.with_name("ratings.csv.0").write_text(HEADER + ratings(20, 25))
    arrived(0, 25)
    running.end()
    assert agents(path.with_name("ratings.csv*")).rows == 0


def test_an_agent_that_comes_back_after_a_rotation_finishes_the_old_file_first(
    agents: Any, firehose: Any, ratings: Any, arrived: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 10))
    agents(path)
    append(path, ratings(10, 15))
    path.rename(path.with_name("ratings.csv.1"))
    running = agents.follow(path)  # the new file is not even there
    arrived(0, 15)
    path.write_text(HEADER + ratings(15, 20))
    arrived(0, 20)
    running.end()


def test_a_file_that_turns_out_unreadable_is_told_and_the_others_go_on(
    agents: Any, ratings: Any, arrived: Any, until: Any, tmp_path: Path
) -> None:
    running = agents.follow(tmp_path / "*.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "a.csv").write_text(HEADER + ratings(0, 5))
    arrived(0, 5)
    until(lambda: any("folder.csv: not a regular file" in line for line in running.told))
    running.end()


def test_an_outage_is_waited_out_and_the_end_does_not_wait_for_it(  # noqa: PLR0917 - fixtures
    agents: Any, firehose: Any, ratings: Any, arrived: Any, until: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 10))
    busy = (503, {"__type": "ServiceUnavailableException", "message": "Slow down."})
    firehose.faults = lambda number, _records: busy if number < 20 else None
    running = agents.follow(path)
    arrived(0, 10)
    firehose.faults = lambda _number, _records: busy
    append(path, ratings(10, 12))
    calls = len(firehose.calls)
    until(lambda: len(firehose.calls) > calls)
    running.hurried.set()  # as a second Ctrl-C
    assert running.end().rows == 10
    firehose.faults = lambda _number, _records: None
    assert agents(path).rows == 2
    arrived(0, 12)
