"""What training, processing and tuning jobs share: a thread, an instance, a stop and a final status."""

from __future__ import annotations

import abc
import contextlib
import datetime
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from twin import context
from twin.sagemaker.account import Account, Request, Resource, now, send_status_event
from twin.sagemaker.container import Container
from twin.sagemaker.errors import JobFailed, invalid
from twin.sagemaker.execution_role import ExecutionRole
from twin.sagemaker.image_pull import pull

#: Jobs that run at once on this machine; two at least, so that parallel trials are parallel everywhere.
INSTANCES = max(2, os.cpu_count() or 1)

_free = threading.Semaphore(INSTANCES)

log = logging.getLogger(__name__)

REASON_LENGTH_MAX = 1024
_POLL_SECONDS = 0.05
_JOIN_SECONDS = 15.0


@contextlib.contextmanager
def instance(stop: threading.Event) -> Iterator[bool]:
    """Hold one instance while the job computes; yields False when the job was stopped before it got one."""
    got = False
    while not got and not stop.is_set():
        got = _free.acquire(timeout=_POLL_SECONDS)
    try:
        yield got and not stop.is_set()
    finally:
        if got:
            _free.release()


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a container ended. exceeded: it ran into its limit. stopped: by a Stop call."""

    exit_code: int
    exceeded: bool = False
    stopped: bool = False


class Job(Resource, abc.ABC):
    """A job from InProgress to Completed, Failed or Stopped. `kind` is its name in events."""

    kind: str
    #: The folders under /opt/ml that its program may write.
    writable: tuple[str, ...] = ("output",)

    def __init__(self, account: Account, name: str, arn: str, request: Request) -> None:
        super().__init__(name, arn, request)
        self.account = account
        self.execution_role = ExecutionRole(request.get("RoleArn") or request["TrainingJobDefinition"]["RoleArn"])
        self.status = "InProgress"
        self.failure_reason: str | None = None
        self.started: datetime.datetime | None = None
        self.ended: datetime.datetime | None = None
        self._changing = threading.Lock()
        self._stop = threading.Event()
        self._abandoned = False
        self._container: Container | None = None
        self._thread = threading.Thread(target=self._run, name=f"sagemaker-{name}", daemon=True)

    @abc.abstractmethod
    def _work(self) -> str:
        """Do the work and return the final status; JobFailed means Failed, with its text as the reason."""

    @property
    def finished(self) -> bool:
        return self.status in ("Completed", "Failed", "Stopped")

    @property
    def process_id(self) -> int | None:
        """Its container's process, while there is one."""
        process = self._container.process if self._container else None
        return process.pid if process else None

    @property
    def seconds(self) -> int:
        """Whole seconds from start to end, as billed."""
        if self.started is None:
            return 0
        return max(1, math.ceil(((self.ended or now()) - self.started).total_seconds()))

    def launch(self) -> None:
        """Start the thread; the caller has put the job into the account."""
        self._thread.start()

    def stop(self) -> bool:
        """Request a stop; False when the job has ended or is stopping already."""
        with self._changing:
            if self.finished or self.status == "Stopping":
                return False
            self.status = "Stopping"
        self.touch()
        self._stop.set()
        return True

    def stop_call(self, kind: str) -> Request:
        """Answer a Stop call; Refused when the job has ended. kind: the job's name in the message."""
        if not self.stop() and self.finished:
            raise invalid(f"The request was rejected because the {kind} job is in status {self.status}.")
        return {}

    def abandon(self) -> None:
        """Kill the container at once, as the twin ends."""
        self._abandoned = True
        self._stop.set()

    def close(self) -> None:
        """Wait for its end."""
        self._thread.join(_JOIN_SECONDS)

    def announce(self) -> None:
        """Send the status event."""
        self.touch()
        if not self._abandoned:
            send_status_event(self.kind, self.arn, self.describe())

    def _run(self) -> None:
        self.announce()
        try:
            status, reason = self._work(), None
        except JobFailed as error:
            status, reason = "Failed", str(error)
        except Exception as error:
            log.exception("job %s broke", self.name)
            status, reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"
        self.ended = now()
        self.failure_reason = reason[:REASON_LENGTH_MAX] if reason else None
        with self._changing:
            self._finish(status)
            self.status = status
        self.announce()

    def _finish(self, status: str) -> None:
        """Record the end; `status` becomes the job's status right after."""

    def in_container(self, image_uri: str, specification: Request, arguments: list[str], role: str) -> str:
        """Run the image's program on an instance, in a fresh container that `run` fills; the job's final status.

        role: "training" or "processing", the folder's name and the word in AWS's message.
        """
        entrypoint = specification.get("ContainerEntrypoint") or ()
        try:
            image = pull(image_uri)
            command = image.command(entrypoint, arguments)
            if not self.execution_role.may_pull(image_uri):
                raise KeyError(image_uri)
        except KeyError:
            kind = "algorithm" if role == "training" else role
            raise JobFailed(
                f"ClientError: Cannot pull {kind} container. Either the image does not exist or its permissions are "
                f"incorrect: {image_uri}"
            ) from None
        except ValueError as error:
            raise JobFailed(f"AlgorithmError: {error}, exit code: 127") from error
        with instance(self._stop) as ready:
            if not ready:
                return "Stopped"
            folder = context.current().folder / "sagemaker" / role / self.name
            container = Container(folder, self.writable)
            container.make_writable(*image.writable)
            self.started = now()
            try:
                return self.run(container, command, image.environment)
            finally:
                container.discard()

    def run(self, container: Container, command: list[str], environment: dict[str, str]) -> str:
        """Prepare the container, run `command` in it and collect its results; the job's final status."""
        raise NotImplementedError

    def watch(self, container: Container, seconds: float, lines: Callable[[list[str]], None]) -> ExitStatus:
        """Wait for a container's end, passing on its output; stop it on a Stop call or after `seconds`."""
        self._container = container
        deadline = time.monotonic() + seconds
        exceeded = stopped = False
        while container.exit_code() is None and not (exceeded or stopped):
            lines(container.lines())
            stopped = self._stop.wait(_POLL_SECONDS)
            exceeded = time.monotonic() > deadline
        container.end(0 if self._abandoned or not (exceeded or stopped) else None)
        lines(container.lines(last=True))
        if changes := container.forbidden_changes():
            writable = ", ".join(f"/opt/ml/{part}" for part in self.writable)
            raise JobFailed(
                f"AlgorithmError: the program changed {', '.join(changes[:3])}, which SageMaker mounts read-only: "
                f"write only into {writable}, the outputs of a processing job and /tmp"
            )
        code = container.exit_code() or 0
        shown = code if code >= 0 else 128 - code  # killed by a signal: as a shell and AWS count it
        return ExitStatus(shown, exceeded=exceeded and not stopped, stopped=stopped)


J = TypeVar("J", bound=Job)


def unfinished(account: Account, kind: type[J]) -> list[J]:
    """The jobs of a class that have not ended."""
    with account.lock:
        return [job for job in account.all(kind).values() if not job.finished]
