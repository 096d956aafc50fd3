"""Nothing of a twin stays: children and folders go with the process that made them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twin import janitor
from twin.children import Children

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
FAMILY = [sys.executable, "-c", "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(600)", *SLEEP]
SCATTERED = [
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)",
    *SLEEP,
]

TWIN = """
import os, signal, sys, time
from pathlib import Path
from twin.children import Children
children = Children()
folder = Path(sys.argv[1]); folder.mkdir(); (folder / "file").write_text("x")
children.remove_at_end(folder)
print(children.spawn(sys.argv[2:], env=dict(os.environ)).pid, children.marker, children._janitor.pid, flush=True)
time.sleep(600)
"""


def _eventually(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False


def _marked(marker: str) -> list[int]:
    return list(janitor.marked(marker))


@pytest.fixture
def children() -> Iterator[Children]:
    made = Children()
    yield made
    made.close()


def _start_twin(folder: Path, child: list[str]) -> tuple[subprocess.Popen[str], int, str, int]:
    twin = subprocess.Popen([sys.executable, "-c", TWIN, str(folder), *child], stdout=subprocess.PIPE, text=True)
    assert twin.stdout
    pid, marker, keeper = twin.stdout.readline().split()
    return twin, int(pid), marker, int(keeper)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "child", [SLEEP, FAMILY, SCATTERED], ids=["child", "grandchild", "grandchild in its own session"]
)
def test_no_process_and_no_folder_stays_after_the_twin_is_killed(
    tmp_path: Path, child: list[str], number: signal.Signals
) -> None:
    twin, pid, marker, keeper = _start_twin(tmp_path / "twin", child)
    assert _eventually(lambda: len(_marked(marker)) >= 1)
    twin.send_signal(number)
    twin.communicate()
    assert _eventually(lambda: not _marked(marker))
    assert _eventually(lambda: janitor.start_time(pid) is None)
    assert _eventually(lambda: janitor.start_time(keeper) is None)
    assert not (tmp_path / "twin").exists()


def test_a_killed_janitor_is_replaced_and_knows_the_children_of_the_first() -> None:
    made = Children()
    first = made.spawn(SLEEP, env={})
    assert made._janitor
    made._janitor.kill()
    made._janitor.wait()
    second = made.spawn(SLEEP, env={})
    assert made._janitor.poll() is None
    assert made._janitor.stdin
    made._janitor.stdin.close()
    made._janitor.wait(60)
    assert first.wait(60) == second.wait(60) == -signal.SIGKILL


def test_a_command_that_does_not_exist_is_an_error_and_leaves_nothing(children: Children) -> None:
    with pytest.raises(FileNotFoundError):
        children.spawn(["/no/such/program"], env={})
    assert children._running == {}


def test_end_gives_a_child_the_time_to_end_by_itself(children: Children, tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = (
        "import signal, sys, time, pathlib\n"
        "def end(*_):\n pathlib.Path(sys.argv[1]).write_text('bye'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); pathlib.Path(sys.argv[1]).write_text('ready'); time.sleep(600)"
    )
    process = children.spawn([sys.executable, "-c", code, said], env={})
    assert _eventually(lambda: said.exists() and said.read_text() == "ready")
    children.end(process, grace_seconds=10)
    assert (process.returncode, said.read_text()) == (0, "bye")


def test_end_kills_a_child_that_ignores_sigterm(children: Children) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    process = children.spawn([sys.executable, "-c", code], env={}, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    children.end(process, grace_seconds=0.2)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


def test_a_child_sees_only_the_environment_it_was_given(children: Children) -> None:
    os.environ["USHER_SECRET_OF_THE_HOST"] = "x"
    try:
        code = "import os; print(sorted(os.environ))"
        process = children.spawn(
            [sys.executable, "-I", "-c", code], env={"LC_CTYPE": "C.UTF-8"}, stdout=subprocess.PIPE
        )
        out = process.communicate()[0]
    finally:
        del os.environ["USHER_SECRET_OF_THE_HOST"]
    assert out == b"['LC_CTYPE', 'USHER_TWIN_MARKER']\n"


def test_closing_ends_the_children_and_removes_the_folders(tmp_path: Path) -> None:
    made = Children()
    folder = tmp_path / "twin"
    folder.mkdir()
    made.remove_at_end(folder)
    process = made.spawn(SLEEP, env={})
    made.close()
    assert process.returncode == -signal.SIGKILL
    assert not folder.exists()


def test_a_process_that_has_ended_has_no_start_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert janitor.start_time(process.pid) is None
    assert janitor.start_time(os.getpid()) is not None
