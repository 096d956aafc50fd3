"""The checkpoint is whole whatever happens, belongs to one stream, and to one agent at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.agent.checkpoint import FILES_KEPT, Checkpoint, Fingerprint, Position, Stream, locked
from cli.errors import CommandError

STREAM = Stream("usher-ratings", "2026-03-01")


def position(inode: int, offset: int = 10) -> Position:
    mark = Fingerprint(0, 10, "ab")
    return Position("/data/ratings.csv", 1, inode, offset, mark, mark, 3, "userId,movieId,rating,timestamp")


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c", STREAM).save({(1, 5): position(5)})
    assert Checkpoint.load(tmp_path / "c", STREAM).positions == {(1, 5): position(5)}


def test_a_failed_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "c", STREAM)
    checkpoint.save({(1, 5): position(5)})
    monkeypatch.setattr(os, "fsync", lambda _descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save({(1, 5): position(5, 999)})
    assert Checkpoint.load(tmp_path / "c", STREAM).positions == {(1, 5): position(5)}


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "[]", "{}", '{"schema": 99}', '{"schema": 1, "stream": {"name": "a", "made": ""}, "files": [1]}'],
)
def test_a_file_that_is_no_checkpoint_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "c").write_text(content)
    with pytest.raises(CommandError, match=r"/c: not a checkpoint"):
        Checkpoint.load(tmp_path / "c", STREAM)
    assert (tmp_path / "c").read_text() == content


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Stream("usher-tags", "2026-03-01"), "is of stream usher-ratings"),
        (Stream("usher-ratings", "2026-03-02"), "of an earlier stream named usher-ratings"),
    ],
)
def test_a_checkpoint_of_another_stream_is_refused(tmp_path: Path, other: Stream, reason: str) -> None:
    Checkpoint(tmp_path / "c", STREAM).save({(1, 5): position(5)})
    with pytest.raises(CommandError, match=reason):
        Checkpoint.load(tmp_path / "c", other)


def test_who_may_not_ask_when_the_stream_was_made_can_go_on(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c", STREAM).save({(1, 5): position(5)})
    assert Checkpoint.load(tmp_path / "c", Stream("usher-ratings")).positions


def test_the_files_that_moved_last_are_kept(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", STREAM)
    checkpoint.save({(1, inode): position(inode) for inode in range(FILES_KEPT)})
    checkpoint.save({(1, 0): position(0, 20), (1, 9999): position(9999)})
    kept = Checkpoint.load(tmp_path / "c", STREAM).positions
    assert len(kept) == FILES_KEPT
    assert kept[1, 0].offset == 20
    assert (1, 1) not in kept


def test_two_agents_do_not_share_a_checkpoint(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "c"),
        pytest.raises(CommandError, match=rf"another agent \(pid {os.getpid()}\) uses it"),
        locked(tmp_path / "c"),
    ):
        pass
    with locked(tmp_path / "c"):
        pass


def test_the_lock_of_a_killed_agent_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from cli.agent.checkpoint import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "c")], stdout=subprocess.PIPE, cwd=Path(__file__).parents[4]
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(CommandError, match=f"pid {child.pid}"), locked(tmp_path / "c"):
        pass
    child.kill()
    child.wait()
    child.stdout.close()
    with locked(tmp_path / "c"):
        pass


def test_the_checkpoint_is_readable_text(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c", STREAM).save({(1, 5): position(5)})
    found: Any = json.loads((tmp_path / "c").read_text())
    assert found["stream"] == {"name": "usher-ratings", "made": "2026-03-01"}
    assert found["files"][0]["path"] == "/data/ratings.csv"
