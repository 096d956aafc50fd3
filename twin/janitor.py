"""A process that outlives the twin briefly and cleans up after it, even after kill -9.

The twin holds the writing end of this process's standard input. However the twin ends, the kernel closes that pipe; the
janitor then kills the twin's children and removes its temporary folder. It is run by file name, isolated and without
site-packages (`python -I -S janitor.py MARKER`), so it imports the standard library only.

One JSON object a line comes in: {"child": pid, "started": "…"}, {"gone": pid}, {"folder": "/tmp/…"}.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

MARKER = "USHER_TWIN_MARKER"
"""Environment variable that every process of one twin has; its value identifies the twin."""

ROUNDS = 50
ROUND_SECONDS = 0.02


def start_time(pid: int) -> str | None:
    """When a process started, in the system's format; with the pid it identifies a process. None: it does not exist."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else fields[19]
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def main(lines: Iterable[str], marker: str) -> None:
    """Listen until the twin has ended, then clean up."""
    children: dict[int, str | None] = {}
    folders: list[Path] = []
    for line in lines:
        note = json.loads(line)
        if "child" in note:
            children[note["child"]] = note["started"]
        elif "gone" in note:
            children.pop(note["gone"], None)
        else:
            folders.append(Path(note["folder"]))
    kill_all(children, marker)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def kill_all(children: dict[int, str | None], marker: str) -> None:
    """Kill the groups of the known children, and every other process with the marker."""
    for pid, started in children.items():
        if started is not None and start_time(pid) == started:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
    for _ in range(ROUNDS):
        left = [pid for pid in marked(marker) if pid != os.getpid()]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(ROUND_SECONDS)


def marked(marker: str) -> Iterator[int]:
    """The running processes that have the marker; empty on systems without /proc, where the groups have to suffice."""
    wanted = f"{MARKER}={marker}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0") and start_time(int(folder.name)):
                yield int(folder.name)


if __name__ == "__main__":
    main(sys.stdin, sys.argv[1])
