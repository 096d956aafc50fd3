"""A confined program writes into the folders that it is given, and nowhere else, whoever it runs as."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from twin.sagemaker import write_protection
from twin.sagemaker.write_protection import changed, fingerprint, launcher

needs_landlock = pytest.mark.skipif(not write_protection.available(), reason="this system has no Landlock")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("as it was")
    return tmp_path / "open", tmp_path / "closed"


def run(folders: tuple[Path, Path], script: str) -> subprocess.CompletedProcess[str]:
    command = launcher(["sh", "-c", script], [folders[0]])
    return subprocess.run(command, cwd=folders[1].parent, capture_output=True, text=True, check=False)


@needs_landlock
@pytest.mark.parametrize(
    "script",
    [
        "echo x > closed/new",
        "echo x > closed/file",
        "echo x >> closed/file",
        "truncate -s 0 closed/file",
        "rm closed/file",
        "mkdir closed/folder",
        "ln -s file closed/link",
        "mv open/file closed/moved",
        "mv closed/file open/moved",
        "ln open/file closed/linked",
    ],
)
def test_nothing_else_is_changed(folders: tuple[Path, Path], script: str) -> None:
    before = fingerprint(folders[1], ())
    assert run(folders, script).returncode != 0
    assert not changed(before, fingerprint(folders[1], ()))
    assert (folders[1] / "file").read_text() == "as it was"


@needs_landlock
def test_the_given_folder_is_written_as_ever(folders: tuple[Path, Path]) -> None:
    script = "cat closed/file > open/new && mkdir open/a && mv open/new open/a/new && rm open/file && echo > /dev/null"
    done = run(folders, script)
    assert done.returncode == 0, done.stderr
    assert (folders[0] / "a/new").read_text() == "as it was"


@needs_landlock
def test_what_the_program_starts_is_confined_too(folders: tuple[Path, Path]) -> None:
    assert run(folders, "sh -c 'sh -c \"echo x > closed/new\"'").returncode != 0


def test_the_program_takes_the_launchers_place(folders: tuple[Path, Path]) -> None:
    """The same process, so that signals reach it; SIGPIPE ends it as it would in a container."""
    command = launcher([sys.executable, "-c", "import os; print(os.getpid())"], [folders[0]])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.read()) == process.pid
    ignored = run(folders, "grep SigIgn /proc/self/status").stdout if Path("/proc/self/status").exists() else "0"
    assert int(ignored.split()[-1], 16) & 1 << 12 == 0


def test_a_program_that_is_not_there_exits_as_in_a_shell(folders: tuple[Path, Path]) -> None:
    done = subprocess.run(launcher(["no-such-program"], []), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (127, "exec: 'no-such-program': No such file or directory\n")


def test_a_fingerprint_shows_what_was_made_changed_and_removed(tmp_path: Path) -> None:
    for name in ("input/a", "input/b", "model/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one")
    writable = [tmp_path / "model"]
    before = fingerprint(tmp_path, writable)
    (tmp_path / "model/b").write_text("allowed")
    assert not changed(before, fingerprint(tmp_path, writable))
    (tmp_path / "input/a").unlink()
    os.utime(tmp_path / "input/b", ns=(1, 1))
    (tmp_path / "input/c").mkdir()
    found = {Path(path).name for path in changed(before, fingerprint(tmp_path, writable))}
    assert found == {"a", "b", "c", "input"}
