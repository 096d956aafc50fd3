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

from cli.errors import CommandError
from twin import children, lifecycle
from twin.lifecycle import RunningTwin, Settings

PROJECT = Path(__file__).parents[1]
#: What is played faster than on AWS, beside the twin's own clock (60 times): an experiment of two weeks in a minute.
PARAMETERS = {
    "QuietSeconds": "4",
    "TuningTrials": "4",
    "ExperimentPreset": "demo",
    "ExperimentHourSeconds": "25",
    "EpochSeconds": "3",
    "AttributionSeconds": "4",
    "BakeSeconds": "5",
    "RouterCacheSeconds": "1",
}
#: How long the twin has to take everything back before it is killed.
END_SECONDS = 20.0


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for everything that the demo writes; it is gone afterwards, also after Ctrl-C and kill -9."""
    folder = Path(tempfile.mkdtemp(prefix="usher-demo-"))
    children.remove_at_end(folder)  # by the janitor, when the demo is killed
    with _terminated_is_interrupted():
        try:
            yield folder
        finally:
            with _not_interrupted():
                children.close()
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_twin(folder: Path, min_new_rows: int, tell: Callable[[str], None]) -> Iterator[RunningTwin]:
    """A running twin with its state below `folder`, ended afterwards.

    min_new_rows: so many rows make a run. tell: is told how the deployment goes.
    Raises CommandError, in the twin's own words, when it cannot start.
    """
    process: subprocess.Popen[Any] | None = None
    try:
        parameters = {**PARAMETERS, "MinNewRows": str(min_new_rows)}
        settings = Settings(project=PROJECT, state_folder=folder / "state", parameters=parameters)
        settings.state_folder.mkdir()
        process = _start(settings)
        yield _ready(process, settings, tell)
    finally:
        with _not_interrupted():
            if process is not None:
                children.end(process, END_SECONDS)
                if process.stdout is not None:
                    process.stdout.close()


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


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """Another Ctrl-C must not stop the taking back half-way."""
    saved = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
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
