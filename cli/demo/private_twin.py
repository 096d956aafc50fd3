"""A twin of the demo's own: on a free port, with its state in a temporary folder, gone when the demo is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.failures import CommandError
from twin import children, lifecycle
from twin.lifecycle import RunningTwin, Settings

PROJECT = Path(__file__).parents[2]
#: Quiet for a minute of the twin's time, and four trials an algorithm: the demo shows a whole run, it does not win one.
PARAMETERS = {"MinNewRows": "1", "QuietSeconds": "60", "TuningTrials": "4"}
#: How long the twin has to take everything back before it is killed.
END_SECONDS = 20.0


@contextmanager
def private_twin(tell: Callable[[str], None]) -> Iterator[tuple[RunningTwin, Path]]:
    """A running twin and a scratch folder beside it; both are gone afterwards, also after Ctrl-C and kill -9.

    tell: is told how the deployment goes. Raises CommandError, in the twin's own words, when it cannot start.
    """
    folder = Path(tempfile.mkdtemp(prefix="usher-demo-"))
    children.remove_at_end(folder)  # by the janitor, when the demo is killed
    with _terminated_is_interrupted():
        process: subprocess.Popen[Any] | None = None
        try:
            settings = Settings(project=PROJECT, state_folder=folder / "state", parameters=PARAMETERS)
            settings.state_folder.mkdir()
            process = _start(settings)
            yield _ready(process, settings, tell), folder
        finally:
            _take_back(process, folder)


def _start(settings: Settings) -> subprocess.Popen[Any]:
    """The twin as a child that a janitor ends when the demo dies; `python -m twin` tells on stdout how it goes."""
    with (settings.state_folder / "twin.log").open("ab") as log:
        return children.spawn(
            [sys.executable, "-m", "twin", settings.to_json()],
            env=dict(os.environ),
            cwd=settings.project,
            stdout=subprocess.PIPE,
            stderr=log,
        )


def _ready(process: subprocess.Popen[Any], settings: Settings, tell: Callable[[str], None]) -> RunningTwin:
    for line in process.stdout or ():
        note = json.loads(line)
        if "failed" in note:
            raise CommandError(f"the twin did not start: {note['failed']}")
        if "ready" in note:
            break
        tell(note["progress"])
    running = lifecycle.running(settings.project, settings.state_folder)
    if running is None:
        log = (settings.state_folder / "twin.log").read_text(errors="replace").strip().splitlines()
        raise CommandError(f"the twin ended while it started: {log[-1] if log else 'its log is empty'}")
    return running


def _take_back(process: subprocess.Popen[Any] | None, folder: Path) -> None:
    """End the twin and remove the folder; another Ctrl-C must not stop this half-way."""
    saved = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if process is not None:
            children.end(process, END_SECONDS)
            if process.stdout is not None:
                process.stdout.close()
        children.close()
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        signal.signal(signal.SIGINT, saved)


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does: with everything taken back."""

    def interrupt(number: int, frame: Any) -> None:  # noqa: ARG001 - a signal handler's signature
        raise KeyboardInterrupt

    saved = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
