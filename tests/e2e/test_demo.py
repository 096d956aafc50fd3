"""`make demo` has to run, to prove its counts, and to leave nothing behind however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.generator.files import generate
from demo.generator.world import Size
from twin.iam.record import FOLDER as PERMISSIONS

ROOT = Path(__file__).parents[2]
RUN_SECONDS = 900.0

pytestmark = pytest.mark.slow


def start(scratch: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the demo with a temporary folder of its own, so that what it leaves can be seen."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "USHER_"))}
    clean[PERMISSIONS] = os.environ[PERMISSIONS]  # its twin is judged, too
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "demo", *arguments],
        cwd=ROOT,
        env={**clean, "TMPDIR": str(scratch), "NO_COLOR": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def left_behind(scratch: Path) -> list[str]:
    """Processes that still have the scratch folder in their command line or environment, and what lies in it."""
    found = [str(path.relative_to(scratch)) for path in scratch.iterdir() if path.name.startswith("usher")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(scratch).encode() in text:
            found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def nothing_is_left(scratch: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while (left := left_behind(scratch)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What it printed until a line has `text`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"the demo ended before {text!r}: {''.join(lines)}")


@pytest.mark.parametrize("stage", ["1  Deploy", "ready after", "2  Stream the first", "3  Query", "4  New data"])
def test_ctrl_c_at_any_stage_leaves_nothing(tmp_path: Path, stage: str) -> None:
    process = start(tmp_path)
    read_until(process, stage)
    time.sleep(1.0)  # into the middle of the stage
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole foreground group
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().endswith("usher: interrupted")
    assert "Traceback" not in errors
    nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_way_of_ending_it_leaves_anything(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path)
    read_until(process, "2  Stream the first")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    nothing_is_left(tmp_path)


def test_ctrl_c_during_user_sessions_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path)
    read_until(process, "6  Simulated users")
    time.sleep(3.0)  # their threads have requests under way
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.strip().endswith("usher: interrupted")
    assert "Traceback" not in errors
    nothing_is_left(tmp_path)


def test_a_folder_that_lacks_a_file_is_one_line(tmp_path: Path) -> None:
    process = start(tmp_path, "--data", str(tmp_path))
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    missing = "ratings.csv, movies.csv, tags.csv, links.csv"
    assert errors == f"usher: {tmp_path} has no {missing}: pass a folder with MovieLens' files\n"
    assert output == ""


def test_without_real_data_the_demo_generates_its_own(tmp_path: Path) -> None:
    generate(tmp_path / "small", Size(30, 300, 2000), 1)
    process = start(tmp_path, USHER_DATA=str(tmp_path / "small"))
    output, errors = process.communicate(timeout=RUN_SECONDS)
    assert process.returncode == 0, output + errors
    assert "rows sent = rows in the lake" in output
    assert "verdict: insufficient" in output and "No model serves" in output
    assert "first run" in output and "Estimated cost" in output
    nothing_is_left(tmp_path)


def test_an_unknown_scenario_is_one_line_that_names_the_known_ones(tmp_path: Path) -> None:
    process = start(tmp_path, "--scenario", "worse")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == "usher: unknown scenario worse: use one of natural, bad-model, broken\n"
    assert output == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--backend", "lambda"), "unknown back end lambda: use one of endpoint, function"),
        (
            ("--backend", "function", "--scenario", "broken"),
            "scenario broken fails in the endpoint's container only: use --backend endpoint, or bad-model",
        ),
    ],
)
def test_a_back_end_that_the_demo_cannot_play_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    process = start(tmp_path, *arguments)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (1, "", f"usher: {words}\n")


def test_a_file_in_the_place_of_the_folder_to_save_in_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    process = start(tmp_path, "--save", str(tmp_path / "there"))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == f"usher: --save {tmp_path / 'there'} is a file: pass a folder\n"
