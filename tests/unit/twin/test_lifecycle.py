"""What goes wrong with `usher twin` is one line and exit code 1, and a dead twin's state file is no twin."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from twin import janitor, lifecycle
from twin.lifecycle import RunningTwin, Settings

ROOT = Path(__file__).parents[3]
QUEUE = "Resources:\n  Q: {Type: AWS::SQS::Queue}\n"


def _usher(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "twin", *arguments],
        cwd=ROOT,
        env={**os.environ, lifecycle.STATE_FOLDER: str(state)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _fails(state: Path, *arguments: str) -> str:
    """The one line that a failing command says."""
    ran = _usher(state, *arguments)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    lines = [line for line in ran.stderr.splitlines() if line.startswith("usher:")]
    assert len(lines) == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    assert lifecycle.running(ROOT, state) is None
    return lines[0]


@pytest.mark.parametrize("mode", [[], ["--foreground"]], ids=["background", "foreground"])
def test_a_folder_without_a_template_is_said(tmp_path: Path, mode: list[str]) -> None:
    line = _fails(tmp_path / "s", "up", "--project", str(tmp_path), *mode)
    assert f"{tmp_path}/template.yaml: No such file or directory" in line


def test_a_broken_template_is_said_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("Resources: [")
    assert f"{tmp_path}/template.yaml: the template cannot be read" in _fails(
        tmp_path / "s", "up", "--project", str(tmp_path)
    )


@pytest.mark.parametrize("mode", [[], ["--foreground"]], ids=["background", "foreground"])
def test_a_taken_port_is_said_with_what_to_do(tmp_path: Path, mode: list[str]) -> None:
    (tmp_path / "template.yaml").write_text(QUEUE)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = _fails(tmp_path / "s", "up", "--project", str(tmp_path), "--port", port, *mode)
    assert f"port {port}" in line
    assert "--port" in line


def test_a_parameter_that_is_no_pair_is_said(tmp_path: Path) -> None:
    assert "write KEY=VALUE" in _fails(tmp_path, "up", "--parameter", "Size")


def test_a_speed_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(QUEUE)
    assert "speed must be above 0" in _fails(tmp_path / "s", "up", "--project", str(tmp_path), "--speed", "0")


def test_without_a_twin_status_and_down_say_so(tmp_path: Path) -> None:
    assert "no twin runs in this folder" in _fails(tmp_path, "status")
    assert "no twin runs in this folder" in _fails(tmp_path, "down")


def test_two_twins_of_one_folder_are_one_too_many_also_while_the_first_starts(tmp_path: Path) -> None:
    with (tmp_path / "twin.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is being started or ended already" in _fails(tmp_path, "up")


def _described(**changed: Any) -> dict[str, Any]:
    started = janitor.start_time(os.getpid())
    assert started is not None
    twin = RunningTwin(os.getpid(), started, "http://127.0.0.1:1", "eu-west-1", "usher", 1.0, 0.0, "/tmp/x", "log", {})  # noqa: S108 - a name
    return {**asdict(twin), **changed}


def test_a_running_twin_is_found(tmp_path: Path) -> None:
    (tmp_path / "twin.json").write_text(json.dumps(_described(unknown="from a later version")))
    found = lifecycle.running(ROOT, tmp_path)
    assert found is not None
    assert found.pid == os.getpid()


@pytest.mark.parametrize(
    "text",
    [json.dumps(_described(process_started="1")), json.dumps(_described(pid=2**22 + 1)), "{}", "not json", "[]", ""],
    ids=["the pid is another process's now", "the process is gone", "empty object", "no json", "a list", "empty"],
)
def test_a_stale_or_damaged_state_file_is_no_twin(tmp_path: Path, text: str) -> None:
    (tmp_path / "twin.json").write_text(text)
    assert lifecycle.running(ROOT, tmp_path) is None


def test_settings_survive_their_way_to_the_twins_process(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path / "s", tmp_path / "t.yaml", port=5, speed=2.5, parameters={"A": "b=c"})
    assert Settings.from_json(settings.to_json()) == settings
    plain = Settings(tmp_path, tmp_path / "s")
    assert Settings.from_json(plain.to_json()) == plain
