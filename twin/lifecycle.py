"""Starts, finds and ends a twin as a process, in the foreground or in the background.

A running twin holds a lock on `.usher/twin.lock`, which the kernel releases however it ends, and describes itself in
`.usher/twin.json` (mode 600). `up` and `foreground` start it, `down` ends it, `running` finds it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from twin import janitor
from twin.server import LOCALHOST, REGION, SPEED, STACK_NAME, Twin, TwinError

END_SECONDS = 20.0
STATE_FOLDER = "USHER_STATE_DIR"
"""Environment variable: another folder than `.usher` for state, lock and log."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a twin, which `twin.server.Twin` explains."""

    project: Path
    state_folder: Path
    template: Path | None = None
    host: str = LOCALHOST
    port: int = 0
    region: str = REGION
    speed: float = SPEED
    stack_name: str = STACK_NAME
    parameters: dict[str, str] = field(default_factory=dict)
    new_account: bool = False

    def to_json(self) -> str:
        """For the command line of the process that runs the twin."""
        return json.dumps({name: str(v) if isinstance(v, Path) else v for name, v in dataclasses.asdict(self).items()})

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The inverse of `to_json`."""
        values = json.loads(text)
        paths = {name: Path(values[name]) for name in ("project", "state_folder", "template") if values[name]}
        return cls(**{**values, **paths})


@dataclass(frozen=True, slots=True)
class RunningTwin:
    """A twin that runs, as its state file describes it.

    folder: its temporary folder. log: its log file. environment: what points boto3, the AWS CLI and SAM at it.
    started_at: epoch seconds. process_started: the process's start time, which distinguishes a reused pid.
    """

    pid: int
    process_started: str
    endpoint: str
    region: str
    stack_name: str
    speed: float
    started_at: float
    folder: str
    log: str
    environment: dict[str, str]

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return janitor.start_time(self.pid) == self.process_started


def state_folder(project: Path) -> Path:
    """Where a project's twin keeps its state."""
    return Path(os.environ.get(STATE_FOLDER) or project / ".usher").absolute()


def running(project: Path, state: Path | None = None) -> RunningTwin | None:
    """The project's twin, if one runs and is ready; the state file of an ended twin is ignored."""
    try:
        described = json.loads(((state or state_folder(project)) / "twin.json").read_text())
        twin = RunningTwin(**{item.name: described[item.name] for item in dataclasses.fields(RunningTwin)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return twin if twin.alive() else None


def up(settings: Settings, report: Report) -> RunningTwin:
    """Start a twin in the background and return when it is ready; TwinError, after clean-up, when it cannot start."""
    with _locked(settings):
        pass  # a clear error at once if one runs already; the twin itself takes the lock
    _prepare(settings.state_folder)
    with (settings.state_folder / "twin.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "twin", settings.to_json()],
            cwd=settings.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        _follow(process, settings, report)
    except BaseException:  # also Ctrl-C: without a parent that waits, the twin is not needed
        _end(process.pid, janitor.start_time(process.pid))
        process.wait(END_SECONDS)
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
    twin = running(settings.project, settings.state_folder)
    if twin is None:
        raise TwinError(f"the twin ended as soon as it was ready; see {settings.state_folder / 'twin.log'}")
    return twin


def foreground(settings: Settings, report: Report, ready: Callable[[RunningTwin], None]) -> None:
    """Run a twin in this process until SIGINT or SIGTERM, then clean up; TwinError when it cannot start."""
    with _locked(settings), _logging(settings.state_folder / "twin.log"):
        stop = threading.Event()
        with _signals(stop):
            twin = Twin(
                settings.project,
                template=settings.template,
                host=settings.host,
                port=settings.port,
                region=settings.region,
                speed=settings.speed,
                stack_name=settings.stack_name,
                parameters=settings.parameters,
                new_account=settings.new_account,
                report=report,
            )
            try:
                twin.start()
                described = _describe(twin, settings)
                _write(settings.state_folder / "twin.json", described)
                ready(described)
                stop.wait()
            except KeyboardInterrupt:
                pass
            finally:
                _ignore_signals()
                (settings.state_folder / "twin.json").unlink(missing_ok=True)
                twin.stop()


def down(project: Path, state: Path | None = None) -> RunningTwin | None:
    """End the project's twin and return once its process and folder are gone; None when no twin runs."""
    twin = running(project, state)
    if twin is None:
        return None
    _end(twin.pid, twin.process_started)
    deadline = time.monotonic() + END_SECONDS
    while Path(twin.folder).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    ((state or state_folder(project)) / "twin.json").unlink(missing_ok=True)
    return twin


def _follow(process: subprocess.Popen[str], settings: Settings, report: Report) -> None:
    """Pass on the progress of the starting twin, until it is ready."""
    for line in process.stdout or ():
        note = json.loads(line)
        if "failed" in note:
            raise TwinError(note["failed"])
        if "ready" in note:
            return
        report(note["progress"])
    code = process.wait(END_SECONDS)
    raise TwinError(f"the twin ended while it started (exit code {code}); see {settings.state_folder / 'twin.log'}")


def _end(pid: int, started: str | None) -> None:
    """Send SIGTERM, and SIGKILL if the process does not end in time; the janitor cleans up after both."""
    for number, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
        deadline = time.monotonic() + seconds
        if started is None or janitor.start_time(pid) != started:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while janitor.start_time(pid) == started and time.monotonic() < deadline:
            time.sleep(0.05)


def _describe(twin: Twin, settings: Settings) -> RunningTwin:
    entered = twin.context
    if entered is None:
        raise TwinError("the twin has not been started")
    return RunningTwin(
        pid=os.getpid(),
        process_started=janitor.start_time(os.getpid()) or "",
        endpoint=entered.endpoint,
        region=entered.region,
        stack_name=settings.stack_name,
        speed=entered.speed,
        started_at=time.time(),
        folder=str(entered.folder),
        log=str(settings.state_folder / "twin.log"),
        environment=entered.environment(),
    )


def _write(path: Path, twin: RunningTwin) -> None:
    new = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(dataclasses.asdict(twin), file, indent=1)
    new.replace(path)


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TwinError(f"{folder} cannot be created: {error.strerror}; name another with {STATE_FOLDER}") from error


@contextlib.contextmanager
def _locked(settings: Settings) -> Iterator[IO[str]]:
    """Hold the project's lock; TwinError when another twin does."""
    _prepare(settings.state_folder)
    with (settings.state_folder / "twin.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = running(settings.project, settings.state_folder)
            where = (
                f"runs already at {other.endpoint} (pid {other.pid})" if other else "is being started or ended already"
            )
            raise TwinError(f"a twin of this folder {where}; `usher twin down` ends it") from error
        yield lock


@contextlib.contextmanager
def _logging(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for chatty in ("werkzeug", "botocore", "boto3", "urllib3", "s3transfer"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of metrics that it does not send
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM end the twin, also while it starts."""

    def end(number: int, frame: Any) -> None:  # noqa: ARG001 - a signal handler's signature
        stop.set()
        _ignore_signals()  # a second Ctrl-C must not interrupt the clean-up
        raise KeyboardInterrupt

    saved = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
