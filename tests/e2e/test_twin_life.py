"""A twin's life on the real template: it starts, it is found, and however it ends nothing of it stays."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twin import janitor, lifecycle

pytestmark = pytest.mark.slow

_spec = importlib.util.spec_from_file_location("e2e_conftest", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
live = importlib.util.module_from_spec(_spec)
sys.modules["e2e_conftest"] = live
_spec.loader.exec_module(live)

ROOT: Path = live.ROOT


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    state = tmp_path / "state"
    process = live.start(state)
    yield live.wait_until_ready(process, state)
    live.end(process)


def _usher(state: Path, *arguments: str, project: Path = ROOT) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "twin", *arguments, "--project", str(project)],
        cwd=ROOT,
        env={**clean, lifecycle.STATE_FOLDER: str(state)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _eventually(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def _family(pid: int) -> dict[int, str | None]:
    """The twin's process and every process that bears its marker, with their start times."""
    environment = next((Path(f"/proc/{child}/environ").read_bytes() for child in _children(pid)), b"")
    found = re.search(rf"{janitor.MARKER}=([0-9a-f]+)".encode(), environment)
    marked = list(janitor.marked(found[1].decode())) if found else []
    return {one: janitor.start_time(one) for one in (pid, *marked, *_children(pid))}


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _free(endpoint: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(endpoint.rpartition(":")[2]))) != 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_the_twin_ends_no_process_no_folder_and_no_port_stays(started: Any, number: signal.Signals) -> None:
    (function,) = [name for name in _functions(started) if "CatalogTables" in name]
    started.client("lambda").invoke(FunctionName=function, Payload=b"{}")  # so that an environment runs
    family = _family(started.process.pid)
    assert len(family) >= 3  # the twin, its janitor, an execution environment
    assert Path(started.running.folder).is_dir()
    started.process.send_signal(number)
    started.process.wait(30)
    assert _eventually(lambda: not any(janitor.start_time(pid) == when for pid, when in family.items()))
    assert _eventually(lambda: not Path(started.running.folder).exists())
    assert _free(started.endpoint)
    assert lifecycle.running(ROOT, started.state) is None


def test_a_twin_that_is_interrupted_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    process = live.start(tmp_path / "state")
    output = tmp_path / "state" / "output"
    assert _eventually(lambda: "LandingBucket" in output.read_text(), live.START_SECONDS)
    family = _family(process.pid)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert _eventually(lambda: not any(janitor.start_time(pid) == when for pid, when in family.items()))
    assert "Traceback" not in output.read_text()


def test_up_status_and_down_in_the_background(tmp_path: Path) -> None:
    state = tmp_path / "state"
    up = _usher(state, "up")
    try:
        assert up.returncode == 0, up.stderr
        assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in up.stdout
        assert (state / "twin.json").stat().st_mode & 0o777 == 0o600
        again = _usher(state, "up")
        assert again.returncode == 1
        assert again.stderr.count("\n") == 1
        assert "runs already" in again.stderr
        seen = json.loads(_usher(state, "status", "--json").stdout)
        assert seen["stack"] == {"name": "usher", "status": "CREATE_COMPLETE"}
        assert len(seen["functions"]) >= 3
        assert all(counts == {"waiting": 0, "in_flight": 0} for counts in seen["queues"].values())
    finally:
        twin = lifecycle.running(ROOT, state)
        down = _usher(state, "down")
    assert twin is not None
    assert down.returncode == 0
    assert janitor.start_time(twin.pid) is None
    assert not Path(twin.folder).exists()
    assert not (state / "twin.json").exists()
    assert _usher(state, "status").returncode == 1


def test_the_log_of_an_undisturbed_start_has_no_errors(started: Any) -> None:
    assert not [line for line in Path(started.running.log).read_text().splitlines() if " ERROR " in line]


def _functions(started: Any) -> list[str]:
    return [function["FunctionName"] for function in started.client("lambda").list_functions()["Functions"]]
