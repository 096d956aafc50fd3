"""Child processes that end with the twin, however it ends: Ctrl-C, SIGTERM, a crash or kill -9.

Each child leads a process group of its own and has the twin's marker in its environment. A janitor (`twin.janitor`)
kills them once the twin has ended. PR_SET_PDEATHSIG does not suffice: it fires when the *thread* that
forked ends, and children are started from threads that serve one request; setting it also needs Python code between
fork and exec, which is not safe in a process with threads.

`spawn` may be called from any thread. A process that has children stays responsible for `end`ing them in time.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from twin import janitor

END_SECONDS = 5.0

_Stream = int | IO[Any] | None


class Children:
    """The children of one process, and their janitor."""

    def __init__(self) -> None:
        self.marker = secrets.token_hex(16)
        self._lock = threading.RLock()
        self._running: dict[int, subprocess.Popen[Any]] = {}
        self._folders: list[Path] = []
        self._janitor: subprocess.Popen[str] | None = None

    def spawn(  # noqa: PLR0913 - subprocess's own parameters
        self,
        args: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path | str | None = None,
        stdin: _Stream = subprocess.DEVNULL,
        stdout: _Stream = subprocess.DEVNULL,
        stderr: _Stream = subprocess.STDOUT,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[Any]:
        """Start `args` with exactly the environment `env` (and the marker); OSError when it cannot be started.

        No stream is inherited unless it is given: an inherited pipe would keep the twin's reader waiting.
        """
        with self._lock:
            self._prune()
            self._ensure_janitor()
            process = subprocess.Popen(
                [os.fspath(argument) for argument in args],
                env={**env, janitor.MARKER: self.marker},
                cwd=cwd,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=pass_fds,
                start_new_session=True,
            )
            self._running[process.pid] = process
            self._notify({"child": process.pid, "started": janitor.start_time(process.pid)})
        return process

    def end(self, process: subprocess.Popen[Any], grace_seconds: float = 0.0) -> None:
        """End one child and its process group: SIGTERM and `grace_seconds` of time first, if any, then SIGKILL."""
        if grace_seconds > 0 and process.poll() is None:
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace_seconds)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait(END_SECONDS)
        with self._lock:
            self._forget(process.pid)

    def remove_at_end(self, folder: Path) -> None:
        """Have `folder` removed once this process has ended."""
        with self._lock:
            self._ensure_janitor()
            self._folders.append(folder)
            self._notify({"folder": str(folder)})

    def close(self) -> None:
        """End every child, then let the janitor remove the folders; returns when it has."""
        with self._lock:
            for process in list(self._running.values()):
                self.end(process)
            keeper, self._janitor, self._folders = self._janitor, None, []
        if keeper is not None and keeper.stdin is not None:
            with contextlib.suppress(OSError):
                keeper.stdin.close()
            keeper.wait(END_SECONDS)

    def _prune(self) -> None:
        for pid, process in list(self._running.items()):
            if process.poll() is not None:
                self._forget(pid)

    def _forget(self, pid: int) -> None:
        if self._running.pop(pid, None) is not None:
            self._notify({"gone": pid})

    def _ensure_janitor(self) -> None:
        """Start the janitor, or another one if it was killed, and send it the present state."""
        if self._janitor is not None and self._janitor.poll() is None:
            return
        self._janitor = subprocess.Popen(
            [sys.executable, "-I", "-S", janitor.__file__, self.marker],
            env={},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        for folder in self._folders:
            self._notify({"folder": str(folder)})
        for pid in self._running:
            self._notify({"child": pid, "started": janitor.start_time(pid)})

    def _notify(self, note: dict[str, Any]) -> None:
        if self._janitor is None or self._janitor.stdin is None:
            return
        with contextlib.suppress(OSError):  # a janitor that was killed is replaced at the next spawn
            self._janitor.stdin.write(json.dumps(note) + "\n")
            self._janitor.stdin.flush()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


_children = Children()
spawn = _children.spawn
end = _children.end
remove_at_end = _children.remove_at_end
close = _children.close
