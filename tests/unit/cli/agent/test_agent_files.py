"""Files to their end: each row once, also after a stop, and a clear line where a file is not what it was."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cli.agent import delivery
from cli.agent.checkpoint import Stream
from cli.errors import CommandError, explain

HEADER = "userId,movieId,rating,timestamp\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ratings.csv"


def users(firehose: Any) -> list[int]:
    return sorted(int(row["user_id"]) for row in firehose.rows)


def test_a_second_run_sends_only_what_is_new(agents: Any, firehose: Any, ratings: Any, path: Path) -> None:
    path.write_text(HEADER + ratings(0, 1200))
    assert agents(path).rows == 1200
    assert agents(path).rows == 0
    with path.open("a") as file:
        file.write(ratings(1200, 1300))
    assert agents(path).rows == 100
    assert users(firehose) == list(range(1300))


def test_several_files_and_a_pattern_are_sent_each_once(
    agents: Any, firehose: Any, ratings: Any, tmp_path: Path
) -> None:
    for number in range(3):
        (tmp_path / f"part-{number}.csv").write_text(HEADER + ratings(number * 10, number * 10 + 10))
    pattern = tmp_path / "part-*.csv"
    assert agents(pattern, tmp_path / "part-1.csv").rows == 30
    (tmp_path / "part-3.csv").write_text(HEADER + ratings(30, 40))
    assert agents(pattern).rows == 10
    assert users(firehose) == list(range(40))


def test_a_renamed_file_is_still_the_same(agents: Any, firehose: Any, ratings: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + ratings(0, 10))
    agents(tmp_path / "*.csv")
    (tmp_path / "a.csv").rename(tmp_path / "b.csv")
    assert agents(tmp_path / "*.csv").rows == 0


def test_a_last_line_without_an_end_is_sent_once(agents: Any, firehose: Any, ratings: Any, path: Path) -> None:
    path.write_text(HEADER + ratings(0, 3).rstrip("\n"))
    assert agents(path).rows == 3
    assert agents(path).rows == 0
    with path.open("a") as file:
        file.write("\n" + ratings(3, 5))
    assert agents(path).rows == 2
    assert users(firehose) == [0, 1, 2, 3, 4]


def test_a_last_line_that_was_half_written_comes_again_whole(agents: Any, firehose: Any, path: Path) -> None:
    path.write_text(HEADER + "1,2,4.5,15000")
    agents(path)
    with path.open("a") as file:
        file.write("00001\n")
    agents(path)
    assert [row["rated_at"] for row in firehose.rows] == [15000, 1500000001]


def test_a_file_with_nothing_but_a_header_or_blank_lines_sends_nothing(agents: Any, firehose: Any, path: Path) -> None:
    path.write_text("\n\n")
    assert agents(path).rows == 0
    path.write_text("\n\n" + HEADER)
    assert agents(path).rows == 0
    path.write_text("\n\n" + HEADER + "\n1,2,4.5,1500000001\n\n")
    assert agents(path).rows == 1
    assert firehose.calls == [[b'{"user_id":"1","item_id":"2","rating":4.5,"rated_at":1500000001}\n']]


def test_a_record_over_the_limit_is_set_aside_with_its_reason_and_the_others_go(
    agents: Any, firehose: Any, tmp_path: Path
) -> None:
    path, long = tmp_path / "tags.jsonl", '{"tag":"' + "x" * (1000 << 10) + '"}'
    path.write_text('{"user_id":"1","item_id":"2","tag":"a","tagged_at":1}\n' + long + '\n{"user_id":"2"}\n')
    done = agents(path, dataset="tags")
    assert (done.rows, done.aside) == (2, 1)
    (kept,) = [json.loads(line) for line in (agents.folder / "checkpoint.aside.jsonl").read_text().splitlines()]
    assert (kept["file"], kept["offset"], kept["bytes"]) == (str(path), 54, len(long))
    assert kept["reason"] == "longer than the 1,024,000 bytes of a record"
    assert base64.b64decode(kept["raw_base64"]).decode() == long
    assert agents(path, dataset="tags").aside == 0


def test_from_start_sends_all_again_and_from_end_only_what_is_added(
    agents: Any, firehose: Any, ratings: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 10))
    assert agents(path, anew=True, from_end=True).rows == 0
    with path.open("a") as file:
        file.write(ratings(10, 15))
    assert agents(path).rows == 5
    assert agents(path, anew=True).rows == 15
    assert Counter(users(firehose)) == dict.fromkeys(range(10), 1) | dict.fromkeys(range(10, 15), 2)


def test_a_replaced_file_is_refused_and_the_checkpoint_stays(
    agents: Any, firehose: Any, ratings: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 100))
    agents(path)
    before = agents.checkpoint.read_bytes()
    path.unlink()
    path.write_text(HEADER + ratings(500, 600))
    with pytest.raises(CommandError, match=r"ratings.csv was truncated or replaced after its first .* bytes were sent"):
        agents(path)
    path.write_text(HEADER)
    with pytest.raises(CommandError, match="send its present content with --from-start"):
        agents(path)
    assert agents.checkpoint.read_bytes() == before
    assert users(firehose) == list(range(100))


def test_a_file_that_was_rotated_meanwhile_is_finished_before_the_new_one(
    agents: Any, firehose: Any, ratings: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 100))
    agents(path)
    with path.open("a") as file:
        file.write(ratings(100, 110))
    path.rename(path.with_name("ratings.csv.1"))
    path.write_text(HEADER + ratings(110, 120))
    assert agents(path).rows == 20
    assert agents(path).rows == 0
    assert users(firehose) == list(range(120))


def test_a_rotation_after_all_was_sent_is_no_loss(agents: Any, firehose: Any, ratings: Any, path: Path) -> None:
    path.write_text(HEADER + ratings(0, 100))
    agents(path)
    path.rename(path.with_name("ratings.csv.1"))
    path.write_text(HEADER + ratings(100, 120))
    assert agents(path).rows == 20
    assert users(firehose) == list(range(120))


def test_two_files_that_begin_alike_are_two_files(agents: Any, firehose: Any, ratings: Any, path: Path) -> None:
    path.write_text(HEADER)
    agents(path)
    with path.open("a") as file:
        file.write(ratings(0, 10))
    path.rename(path.with_name("ratings.csv.1"))
    path.write_text(HEADER + ratings(10, 20))
    assert agents(path).rows == 20
    assert users(firehose) == list(range(20))


def test_a_pattern_that_takes_rotated_files_in_finds_them(agents: Any, firehose: Any, ratings: Any, path: Path) -> None:
    pattern = path.with_name("ratings.csv*")
    path.write_text(HEADER + ratings(0, 10))
    agents(pattern)
    with path.open("a") as file:
        file.write(ratings(10, 15))
    path.rename(path.with_name("ratings.csv.2"))
    path.with_name("ratings.csv.1").write_text(HEADER + ratings(15, 20))
    path.write_text(HEADER + ratings(20, 25))
    assert agents(pattern).rows == 15
    assert agents(pattern).rows == 0
    assert users(firehose) == list(range(25))


def test_a_file_that_was_copied_and_truncated_meanwhile_is_finished_from_the_copy(
    agents: Any, firehose: Any, ratings: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 100))
    agents(path)
    path.with_name("ratings.csv.1").write_text(HEADER + ratings(0, 110))
    path.write_text(HEADER + ratings(110, 115))
    assert agents(path).rows == 15
    assert agents(path).rows == 0
    assert users(firehose) == list(range(115))


def test_a_restored_copy_goes_on_where_the_original_stood(agents: Any, firehose: Any, ratings: Any, path: Path) -> None:
    path.write_text(HEADER + ratings(0, 100))
    agents(path)
    path.unlink()
    path.with_name("other").write_text("")  # so that the inode is not given again
    path.write_text(HEADER + ratings(0, 130))
    assert agents(path).rows == 30


def test_a_missing_an_unreadable_and_a_foreign_file_are_one_line_each(
    agents: Any, tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match=r"ratings.csv: file not found"):
        agents(path)
    with pytest.raises(CommandError, match=r"\*.tsv: file not found"):
        agents(tmp_path / "*.tsv")
    with pytest.raises(CommandError, match="not a regular file"):
        agents(tmp_path)
    path.write_text("movieId,title\n1,Heat\n")
    with pytest.raises(CommandError, match=r"ratings.csv: the header movieId,title lacks .* it looks like items"):
        agents(path)
    path.write_text(HEADER)
    monkeypatch.setattr(
        "os.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied", str(path)))
    )
    with pytest.raises(PermissionError) as caught:
        agents(path)
    assert explain(caught.value) == f"{path}: Permission denied"


def test_expired_credentials_leave_the_checkpoint_where_the_stream_stands(
    agents: Any, firehose: Any, ratings: Any, path: Path
) -> None:
    path.write_text(HEADER + ratings(0, 5000))
    expired = (400, {"__type": "ExpiredTokenException", "message": "expired"})
    firehose.faults = lambda number, _records: expired if number > 3 else None
    with pytest.raises(Exception, match="ExpiredTokenException"):
        agents(path, record_bytes=0)
    firehose.faults = lambda _number, _records: None
    agents(path, record_bytes=0)
    counts = Counter(users(firehose))
    assert set(counts) == set(range(5000))
    assert sum(counts.values()) <= 5000 + 4 * 500


def test_a_stream_that_takes_nothing_ends_the_agent_after_its_patience(
    agents: Any, firehose: Any, ratings: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LONGEST_DELAY_SECONDS", 0.01)
    path.write_text(HEADER + ratings(0, 10))
    firehose.faults = lambda _number, _records: "hang up"
    with pytest.raises(CommandError, match="accepted no record for"):
        agents(path, patience_seconds=0.1)
    firehose.faults = lambda _number, _records: None
    assert agents(path).rows == 10


def test_rows_joined_in_records_arrive_all_the_same(agents: Any, firehose: Any, ratings: Any, path: Path) -> None:
    path.write_text(HEADER + ratings(0, 5000))
    assert agents(path).rows == 5000
    assert users(firehose) == list(range(5000))
    assert len(firehose.taken) < 100


def test_a_checkpoint_of_another_stream_sends_nothing(agents: Any, firehose: Any, ratings: Any, path: Path) -> None:
    path.write_text(HEADER + ratings(0, 10))
    agents(path)
    with pytest.raises(CommandError, match="is of stream usher-ratings"):
        agents(path, stream=Stream("other-ratings", "1"))
    assert users(firehose) == list(range(10))
