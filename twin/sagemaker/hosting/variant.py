"""One production variant: a monitored `serve` process, restarted when it dies, with its log and its metrics."""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Mapping

from twin import context
from twin.cloudwatch.data import Datum, publish
from twin.sagemaker import objects
from twin.sagemaker.account import Account
from twin.sagemaker.container import START_FLOOR_SECONDS, Container, start_seconds
from twin.sagemaker.errors import JobFailed, Refused
from twin.sagemaker.execution_role import ExecutionRole
from twin.sagemaker.hosting.connections import RESPONSE_SECONDS, Connections, ContainerResponse, NoResponse, unavailable
from twin.sagemaker.hosting.model import Served
from twin.sagemaker.image_pull import pull
from twin.sagemaker.output import LogStream

NAMESPACE = "AWS/SageMaker"
_COUNTS = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")

log = logging.getLogger(__name__)

#: A container that exits this often before its first healthy /ping fails the deployment. AWS goes on for half an hour.
STARTS_MAX = 3
PING_EVERY_SECONDS = 5.0
PINGS_MISSED_MAX = 6
_POLL_SECONDS = 0.1
_PUBLISH_EVERY_SECONDS = 0.5
_RESTART_PAUSE_SECONDS = 0.5


class Traffic:
    """One variant's calls since the last `publish`."""

    def __init__(self, account: str, region: str, endpoint: str, variant: str) -> None:
        self._account, self._region = account, region
        self._dimensions = (("EndpointName", endpoint), ("VariantName", variant))
        self._lock = threading.Lock()
        self._calls: list[tuple[int, float, float]] = []

    def count(self, status: int, model_seconds: float, overhead_seconds: float) -> None:
        """One call that the container answered with `status` (0: no response)."""
        with self._lock:
            self._calls.append((status, model_seconds, overhead_seconds))

    def publish(self) -> None:
        """Publish the calls: counts as statistic sets (0 or 1 a call), latencies in microseconds."""
        with self._lock:
            calls, self._calls = self._calls, []
        if not calls:
            return
        client_errors = [int(400 <= status < 500) for status, *_ in calls]
        server_errors = [int(status == 0 or status >= 500) for status, *_ in calls]
        errors = [max(pair) for pair in zip(client_errors, server_errors, strict=True)]
        values = ([1] * len(calls), client_errors, server_errors, errors)
        data = [
            Datum(name, counts, "Count", self._dimensions, as_set=True)
            for name, counts in zip(_COUNTS, values, strict=True)
        ]
        for name, column in (("ModelLatency", 1), ("OverheadLatency", 2)):
            microseconds = [max(0.0, call[column]) * 1e6 for call in calls]
            data.append(Datum(name, microseconds, "Microseconds", self._dimensions))
        publish(self._account, self._region, NAMESPACE, data)


class Variant:
    """A variant's process. `start` returns when it is healthy; from then on it is monitored until `close`."""

    def __init__(self, account: Account, endpoint: str, name: str, served: Served, ending: threading.Event) -> None:
        """ending: set when the endpoint ends, also while the variant still starts."""
        self.name, self.served, self._ending = name, served, ending
        self.healthy = False
        try:
            self._role = ExecutionRole(served.role)
        except Refused as error:
            raise JobFailed(error.message) from error
        self._traffic = Traffic(account.account, account.region, endpoint, name)
        unique = uuid.uuid4().hex[:17]
        self._log = LogStream(
            account.account,
            account.region,
            f"/aws/sagemaker/Endpoints/{endpoint}",
            f"{name}/i-{unique}",
            self._role,
        )
        folder = context.current().folder / "sagemaker" / "endpoints" / endpoint / f"{name}-{unique[:8]}"
        self._container = Container(folder)
        self._connections = Connections(0)
        self._closing = threading.Event()
        self._calls = 0
        self._idle = threading.Condition()
        self._thread = threading.Thread(target=self._monitor, name=f"variant-{endpoint}-{name}", daemon=True)

    def start(self, limit_seconds: float) -> None:
        """Load the model, run `serve`, wait for /ping; JobFailed when it is not healthy in time or keeps exiting.

        The caller closes it, also after a failure.
        """
        self._download()
        deadline = time.monotonic() + start_seconds(limit_seconds)
        for _ in range(STARTS_MAX):
            self._spawn()
            if self._wait_until_healthy(deadline):
                self._thread.start()
                return
            if time.monotonic() > deadline or self._ending.is_set():
                break
        raise JobFailed(
            f"The primary container for production variant {self.name} did not pass the ping health check. "
            "Please check CloudWatch logs for this endpoint."
        )

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> ContainerResponse:
        """POST /invocations; CallFailed 503 while it restarts, NoResponse when the container fails to answer."""
        if not self.healthy:
            raise unavailable(f"The variant {self.name} is not available right now.")
        began = time.monotonic()
        try:
            answer = self._connections.post("/invocations", body, headers)
        except NoResponse:
            self._traffic.count(0, time.monotonic() - began, 0.0)
            raise
        self._traffic.count(answer.status, answer.seconds, time.monotonic() - began - answer.seconds)
        return answer

    def enter(self) -> None:
        """Count a call in: `drain` waits for it."""
        with self._idle:
            self._calls += 1

    def leave(self) -> None:
        """Count the call out."""
        with self._idle:
            self._calls -= 1
            self._idle.notify_all()

    def drain(self) -> None:
        """Wait for pending calls, at most as long as a response may take."""
        with self._idle:
            self._idle.wait_for(lambda: self._calls == 0, RESPONSE_SECONDS)

    def close(self) -> None:
        """End the process; its last output and metrics are kept."""
        self.healthy = False
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._connections.close()
        self._container.end(0)
        self._report(last=True)
        self._container.discard()

    def _download(self) -> None:
        if self.served.data is None:
            return
        archive = self._container.folder / "model.tar.gz"
        objects.fetch(self._role.s3, self.served.data, archive)
        objects.unpack(archive, self._container.folder / "model")
        archive.unlink()

    def _spawn(self) -> None:
        try:
            image = pull(self.served.image)
            if not self._role.may_pull(self.served.image):
                raise KeyError(self.served.image)
        except KeyError:
            raise JobFailed(f"The image of variant {self.name} does not exist: {self.served.image}") from None
        self._container.make_writable(*image.writable)
        self._connections.close()
        self._connections = Connections(_free_port())
        environment = {**image.environment, **self.served.environment, **self._role.environment()}
        environment["SAGEMAKER_BIND_TO_PORT"] = str(self._connections.port)
        try:
            self._container.start(image.command((), ("serve",)), environment)
        except OSError as error:
            raise JobFailed(f"The container of variant {self.name} cannot be started: {error}") from error

    def _wait_until_healthy(self, deadline: float) -> bool:
        """Wait for /ping; False when the process ends first, time is up or the variant is being closed."""
        while time.monotonic() < deadline and not (self._closing.is_set() or self._ending.is_set()):
            self._report()
            if self._container.exit_code() is not None:
                return False
            if self._ping():
                return True
            self._closing.wait(_POLL_SECONDS)
        return False

    def _monitor(self) -> None:
        missed, next_ping, next_report = 0, time.monotonic() + PING_EVERY_SECONDS, 0.0
        while not self._closing.wait(_POLL_SECONDS):
            moment = time.monotonic()
            if moment >= next_report:
                next_report = moment + _PUBLISH_EVERY_SECONDS
                self._report()
            if self._container.exit_code() is not None:
                self._restart("its container ended")
                missed = 0
            elif moment >= next_ping:
                next_ping = moment + PING_EVERY_SECONDS
                missed = 0 if self._ping() else missed + 1
                if missed >= PINGS_MISSED_MAX:
                    self._restart("it did not answer /ping")
                    missed = 0

    def _ping(self) -> bool:
        answered = self._connections.ping()
        self.healthy = self.healthy or answered
        return answered

    def _restart(self, reason: str) -> None:
        self.healthy = False
        log.warning("variant %s restarts: %s", self.name, reason)
        self._container.end(0)
        if self._closing.wait(_RESTART_PAUSE_SECONDS):
            return
        try:
            self._spawn()
        except JobFailed as error:
            log.error("variant %s: %s", self.name, error)
            return
        self._wait_until_healthy(time.monotonic() + START_FLOOR_SECONDS)

    def _report(self, last: bool = False) -> None:
        self._log.write(self._container.lines(last))
        self._traffic.publish()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
