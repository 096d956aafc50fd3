"""The execution environments of all functions: reused while warm, bounded in number, ended with the twin.

Start with `Pool(context).start()`, end with `stop()`. Without a started pool, the first invocation starts one.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Any, Self

from twin import context as twins
from twin.awslambda import logs
from twin.awslambda.environment import ExecutionEnvironment
from twin.awslambda.installation import ArchiveError, LayerError, install
from twin.awslambda.invocation import Invocation, LogLine, Outcome, Revision, Throttled, error_payload
from twin.awslambda.pins import PinsError
from twin.context import Context
from twin.iam.sessions import CannotAssume

CONCURRENCY = 32
"""Calls that run at the same time, all functions together: AWS's limit is the account's, this one is the laptop's."""

_log = logging.getLogger("usher.twin.lambda")


class Pool:
    """Thread-safe. `invoke` runs a function, `retire` ends the environments of a changed or deleted one."""

    def __init__(self, context: Context, concurrency: int = CONCURRENCY) -> None:
        self.context = context
        self.concurrency = concurrency
        self._lock = threading.Lock()
        self._installing = threading.Lock()
        self._idle: list[ExecutionEnvironment] = []  # the longest unused first
        self._busy: Counter[str] = Counter()
        self._retired: Counter[str] = Counter()
        self._running: set[ExecutionEnvironment] = set()
        self._stopped = False

    def start(self) -> Self:
        """Become the pool of this process."""
        global _current  # noqa: PLW0603 - moto's state is global to the process, so the functions' is too
        _current = self
        return self

    def stop(self) -> None:
        """End every environment, also busy ones."""
        global _current  # noqa: PLW0603 - see above
        if _current is self:
            _current = None
        with self._lock:
            self._stopped = True
            ending = [*self._idle, *self._running]
            self._idle.clear()
        for environment in ending:
            environment.close()

    def invoke(self, function: Any, invocation: Invocation) -> Outcome:
        """Run `function` (moto's) once and write its log and metrics. Raises Throttled."""
        revision = Revision.of(function)
        self._enter(revision, function)
        try:
            outcome, stream = self._run(function, revision, invocation)
        finally:
            with self._lock:
                self._busy[revision.function_arn] -= 1
        logs.record(function, revision, outcome, stream)
        return outcome

    def retire(self, function_arn: str) -> None:
        """End the idle environments of a function; busy ones end after their invocation."""
        with self._lock:
            self._retired[function_arn] += 1
            ending = [idle for idle in self._idle if idle.revision.function_arn == function_arn]
            self._idle = [idle for idle in self._idle if idle not in ending]
        for environment in ending:
            environment.close()

    def processes(self) -> dict[int, str]:
        """The process ids of all environments, with the functions' names."""
        with self._lock:
            return {each.pid: each.revision.name for each in [*self._idle, *self._running]}

    def _enter(self, revision: Revision, function: Any) -> None:
        """Count a call as running, or refuse it."""
        reserved = function.reserved_concurrency
        with self._lock:
            if reserved is not None and self._busy[revision.function_arn] >= int(reserved):
                reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
            elif self._busy.total() >= self.concurrency:
                reason = "ConcurrentInvocationLimitExceeded"
            else:
                self._busy[revision.function_arn] += 1
                return
        logs.throttled(function)
        raise Throttled(reason)

    def _run(self, function: Any, revision: Revision, invocation: Invocation) -> tuple[Outcome, str]:
        with self._lock:
            retired = self._retired[revision.function_arn]
        try:
            environment = self._take(revision) or self._create(function, revision)
        except (ArchiveError, LayerError, PinsError, CannotAssume, OSError) as error:
            _log.error("%s cannot start: %s", revision.name, error)
            return _not_started(invocation, str(error)), "twin"
        try:
            return environment.invoke(invocation), environment.log_stream
        finally:
            self._give_back(environment, retired)

    def _take(self, revision: Revision) -> ExecutionEnvironment | None:
        """The warm environment that was used last; ended ones are dropped."""
        with self._lock:
            found = None
            dead = [idle for idle in self._idle if not idle.alive]
            self._idle = [idle for idle in self._idle if idle not in dead]
            for environment in reversed(self._idle):
                if environment.revision == revision:
                    found = environment
                    self._idle.remove(environment)
                    self._running.add(environment)
                    break
        for environment in dead:
            environment.close()
        return found

    def _create(self, function: Any, revision: Revision) -> ExecutionEnvironment:
        self._make_room()
        layers = [(layer.arn, layer.code_bytes) for layer in function.layer_versions]
        with self._installing:
            installation = install(function.code_bytes, layers, self.context.folder / "lambda")
        environment = ExecutionEnvironment(revision, installation, self.context)
        with self._lock:
            self._running.add(environment)
            stopped = self._stopped
        if stopped:
            environment.close()
        return environment

    def _make_room(self) -> None:
        """Keep the number of processes within the concurrency limit."""
        with self._lock:
            surplus = len(self._idle) + len(self._running) + 1 - self.concurrency
            ending, self._idle = self._idle[: max(0, surplus)], self._idle[max(0, surplus) :]
        for environment in ending:
            environment.close()

    def _give_back(self, environment: ExecutionEnvironment, retired: int) -> None:
        with self._lock:
            self._running.discard(environment)
            current = self._retired[environment.revision.function_arn] == retired and not self._stopped
            if current and environment.alive:
                self._idle.append(environment)
                return
        environment.close()


def current() -> Pool:
    """The pool of the running twin."""
    global _current  # noqa: PLW0603 - see Pool.start
    running = twins.current()
    with _starting:
        if _current is None or _current.context is not running:
            _current = Pool(running)
        return _current


def retire(function_arn: str) -> None:
    """End the environments of a changed or deleted function in the running pool, if there is one."""
    if _current is not None:
        _current.retire(function_arn)


def _not_started(invocation: Invocation, reason: str) -> Outcome:
    return Outcome(
        request_id=invocation.request_id,
        payload=error_payload("Twin.CannotStart", reason),
        failed=True,
        log=(LogLine(f"[twin] {reason}"),),
        status="error",
        error_type="Twin.CannotStart",
    )


_current: Pool | None = None
_starting = threading.Lock()
