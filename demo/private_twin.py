"""A twin for the demo alone: on a free port, with its state in a temporary folder, deleted when the demo ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.interrupts import not_interrupted, terminated_is_interrupted
from twin import children, lifecycle
from twin.lifecycle import RunningTwin, Settings

PROJECT = Path(__file__).parents[1]
#: Shorter times than on AWS, besides the twin's clock (60 times as fast): an experiment of two weeks in a minute.
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
#: How long the twin may take to stop before it is killed.
END_SECONDS = 20.0


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for everything that the demo writes; deleted afterwards, also after Ctrl-C and kill -9."""
    folder = Path(tempfile.mkdtemp(prefix="usher-demo-"))
    children.remove_at_end(folder)  # the janitor deletes it when the demo is killed
    with terminated_is_interrupted():
        try:
            yield folder
        finally:
            with not_interrupted():
                children.close()
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_twin(folder: Path, parameters: Mapping[str, str], progress: Callable[[str], None]) -> Iterator[RunningTwin]:
    """A running twin with its state below `folder`, stopped afterwards.

    parameters: the template's, beside PARAMETERS. progress: called with each step of the deployment.
    Raises CommandError with the twin's message when it cannot start.
    """
    process: subprocess.Popen[Any] | None = None
    try:
        settings = Settings(project=PROJECT, state_folder=folder / "state", parameters={**PARAMETERS, **parameters})
        settings.state_folder.mkdir()
        process = _start(settings)
        yield _ready(process, settings, progress)
    finally:
        with not_interrupted():
            if process is not None:
                children.end(process, END_SECONDS)
                if process.stdout is not None:
                    process.stdout.close()


def _start(settings: Settings) -> subprocess.Popen[Any]:
    """Start the twin as a child that a janitor stops when the demo dies; it reports its progress on stdout."""
    with (settings.state_folder / "twin.log").open("ab") as log:
        return children.spawn(
            [sys.executable, "-m", "twin", settings.to_json()],
            env=dict(os.environ),
            cwd=settings.project,
            stdout=subprocess.PIPE,
            stderr=log,
        )


def _ready(process: subprocess.Popen[Any], settings: Settings, progress: Callable[[str], None]) -> RunningTwin:
    """Wait until the twin has deployed the template."""
    for line in process.stdout or ():
        message = json.loads(line)
        if "failed" in message:
            raise CommandError(f"the twin did not start: {message['failed']}")
        if "ready" in message:
            break
        progress(message["progress"])
    running = lifecycle.running(settings.project, settings.state_folder)
    if running is None:
        log = (settings.state_folder / "twin.log").read_text(errors="replace").strip().splitlines()
        raise CommandError(f"the twin stopped while it started: {log[-1] if log else 'its log is empty'}")
    return running
