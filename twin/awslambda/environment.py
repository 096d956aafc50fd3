"""One execution environment: a process that runs AWS's runtime client, and the Runtime API that it polls."""

from __future__ import annotations

import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from twin import children
from twin.awslambda import memory, report
from twin.awslambda.installation import Installation
from twin.awslambda.invocation import Invocation, LogLine, Outcome
from twin.awslambda.output import Output
from twin.awslambda.revision import Revision
from twin.awslambda.runtime_api import Report, RuntimeApi
from twin.awslambda.variables import variables
from twin.awslambda.verdict import ending, verdict
from twin.context import Context

# Lambda stops an init after 10 s. A laptop that loads pyarrow while it does other things is given more time than that.
INIT_SECONDS = 60.0

_BROKEN = ("timeout", "too_large", "init_error")


class ExecutionEnvironment:
    """Runs one invocation at a time for one revision. `alive` says whether it can take another."""

    def __init__(self, revision: Revision, installation: Installation, context: Context) -> None:
        self.revision = revision
        self.log_stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{revision.version}]{uuid.uuid4().hex}"
        self._scratch = _scratch(context)
        self._api = RuntimeApi()
        self._started: float | None = time.perf_counter()
        self._process: subprocess.Popen[bytes] = children.spawn(
            [sys.executable, "-S", "-m", "awslambdaric", revision.handler],
            env=variables(
                revision, installation, context,
                scratch=self._scratch, log_stream=self.log_stream, api=self._api.address,
            ),
            cwd=installation.code,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        self._output = Output(cast(IO[bytes], self._process.stdout))
        threading.Thread(target=self._watch, name=f"lambda {revision.name}", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process can take another event."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def invoke(self, invocation: Invocation) -> Outcome:
        """Run one event; never raises: a timeout, a crash or an error is an Outcome as AWS answers it."""
        said, init_ms = self._initialise()
        log = [*(self._output.take() if init_ms else ()), report.start(self.revision, invocation.request_id)]
        started = time.perf_counter()
        limit_seconds = INIT_SECONDS
        if said.kind == "ready":
            limit_seconds = self.revision.timeout_seconds
            self._api.offer(invocation, time.time() + limit_seconds)
            said = self._await(invocation.request_id, started + limit_seconds)
        duration_ms = (time.perf_counter() - started) * 1000
        memory_mb = memory.peak_mb(self.pid)
        if said.kind in _BROKEN:
            children.end(self._process)
        judged = verdict(said, invocation, limit_seconds)
        outcome = Outcome(
            request_id=invocation.request_id,
            payload=judged.payload,
            failed=said.kind != "response",
            duration_ms=duration_ms,
            init_ms=init_ms,
            memory_mb=memory_mb,
            status=judged.status,
            error_type=judged.error_type,
        )
        return replace(outcome, log=(*log, *self._closing_lines(outcome, limit_seconds)))

    def close(self) -> None:
        """End the process and remove its scratch space."""
        children.end(self._process)
        self._api.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _initialise(self) -> tuple[Report, float | None]:
        """Wait, the first time, until the runtime has loaded the handler; how that went and how many ms it took."""
        if self._started is None:
            return Report("ready"), None
        started, self._started = self._started, None
        try:
            said = self._api.reports.get(timeout=INIT_SECONDS)
        except queue.Empty:
            said = Report("timeout")
        return said, (time.perf_counter() - started) * 1000

    def _await(self, request_id: str, until: float) -> Report:
        """The runtime's answer to one event; what else it says meanwhile belongs to events that are over."""
        while True:
            try:
                said = self._api.reports.get(timeout=max(0.0, until - time.perf_counter()))
            except queue.Empty:
                return Report("timeout")
            if said.kind == "exited" or (said.kind != "ready" and said.request_id == request_id):
                return said

    def _closing_lines(self, outcome: Outcome, limit_seconds: float) -> list[LogLine]:
        lines = list(self._output.take())
        if outcome.status == "timeout":
            lines.append(report.timed_out(outcome.request_id, limit_seconds))
        if outcome.memory_mb > (allowed := self.revision.memory_mb):
            lines.append(LogLine(f"[twin] {outcome.memory_mb} MB used: Lambda would have ended this at {allowed} MB"))
        return [*lines, *report.end(self.revision, outcome)]

    def _watch(self) -> None:
        self._api.reports.put(Report("exited", body=ending(self._process.wait()).encode()))


def _scratch(context: Context) -> Path:
    """Lambda's /tmp: one's own, gone with the environment."""
    root = context.folder / "lambda" / "tmp"
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=root))
