"""One execution environment: a process that runs AWS's runtime client, its variables, and the Runtime API it polls."""

from __future__ import annotations

import os
import queue
import re
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
from twin.awslambda import report
from twin.awslambda.installation import Installation
from twin.awslambda.invocation import Invocation, LogLine, Outcome, Revision
from twin.awslambda.logs import Output
from twin.awslambda.runtime_api import Report, RuntimeApi
from twin.context import Context
from twin.iam import sessions

# Lambda stops an init after 10 s. A laptop that loads pyarrow while it does other things needs more.
INIT_SECONDS = 60.0

_BROKEN = ("timeout", "too_large", "init_error")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class ExecutionEnvironment:
    """Runs one invocation at a time for one revision. `alive`: it can take another."""

    def __init__(self, revision: Revision, installation: Installation, context: Context) -> None:
        self.revision = revision
        self.log_stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{revision.version}]{uuid.uuid4().hex}"
        self._scratch = _scratch(context)
        self._api = RuntimeApi()
        self._started: float | None = time.perf_counter()
        self._process: subprocess.Popen[bytes] = children.spawn(
            [sys.executable, "-S", "-m", "awslambdaric", revision.handler],
            env=_variables(
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
        """Run one event; never raises: a timeout, a crash or an error is an Outcome as on AWS."""
        reported, init_ms = self._initialise()
        log = [*(self._output.take() if init_ms else ()), report.start(self.revision, invocation.request_id)]
        started = time.perf_counter()
        limit_seconds = INIT_SECONDS
        if reported.kind == "ready":
            limit_seconds = self.revision.timeout_seconds
            self._api.offer(invocation, time.time() + limit_seconds)
            reported = self._await(invocation.request_id, started + limit_seconds)
        duration_ms = (time.perf_counter() - started) * 1000
        memory_mb = _peak_mb(self.pid)
        if reported.kind in _BROKEN:
            children.end(self._process)
        response = report.response(reported, invocation, limit_seconds)
        outcome = Outcome(
            request_id=invocation.request_id,
            payload=response.payload,
            failed=reported.kind != "response",
            duration_ms=duration_ms,
            init_ms=init_ms,
            memory_mb=memory_mb,
            status=response.status,
            error_type=response.error_type,
        )
        return replace(outcome, log=(*log, *self._closing_lines(outcome, limit_seconds)))

    def close(self) -> None:
        """End the process and remove its scratch space."""
        children.end(self._process)
        self._api.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _initialise(self) -> tuple[Report, float | None]:
        """Wait, the first time, until the runtime has loaded the handler: the result and the milliseconds it took."""
        if self._started is None:
            return Report("ready"), None
        started, self._started = self._started, None
        try:
            reported = self._api.reports.get(timeout=INIT_SECONDS)
        except queue.Empty:
            reported = Report("timeout")
        return reported, (time.perf_counter() - started) * 1000

    def _await(self, request_id: str, until: float) -> Report:
        """The runtime's response to one event; other reports belong to earlier events."""
        while True:
            try:
                reported = self._api.reports.get(timeout=max(0.0, until - time.perf_counter()))
            except queue.Empty:
                return Report("timeout")
            if reported.kind == "exited" or (reported.kind != "ready" and reported.request_id == request_id):
                return reported

    def _closing_lines(self, outcome: Outcome, limit_seconds: float) -> list[LogLine]:
        lines = list(self._output.take())
        if outcome.status == "timeout":
            lines.append(report.timed_out(outcome.request_id, limit_seconds))
        if outcome.memory_mb > (allowed := self.revision.memory_mb):
            lines.append(LogLine(f"[twin] {outcome.memory_mb} MB used: Lambda would have ended this at {allowed} MB"))
        return [*lines, *report.end(self.revision, outcome)]

    def _watch(self) -> None:
        self._api.reports.put(Report("exited", body=report.exit_reason(self._process.wait()).encode()))


def _scratch(context: Context) -> Path:
    """Lambda's /tmp: one for each environment, removed with it."""
    root = context.folder / "lambda" / "tmp"
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=root))


def _variables(  # noqa: PLR0913 - the variables have many sources
    revision: Revision, installation: Installation, context: Context, *, scratch: Path, log_stream: str, api: str
) -> dict[str, str]:
    """The variables of a function's process: Lambda's and the function's own, nothing of the twin's process.

    scratch: the environment's own temporary folder. api: host and port of its Runtime API.
    """
    own = dict(revision.variables)
    return {
        **_defaults(installation, context, scratch),
        **own,
        **_reserved(revision, installation, log_stream=log_stream, api=api),
        **sessions.assume(revision.role, sessions.LAMBDA, revision.name).environment(),
        "PYTHONPATH": os.pathsep.join([*map(str, installation.path), *filter(None, [own.get("PYTHONPATH")])]),
    }


def _defaults(installation: Installation, context: Context, scratch: Path) -> dict[str, str]:
    """Variables that a function may override, as on Lambda; the endpoint is the twin's addition."""
    host = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}  # this Python may need it
    return {
        "PATH": os.pathsep.join([f"{installation.opt}/bin", "/usr/local/bin", "/usr/bin", "/bin"]),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        **host,
        **context.environment(),
    }


def _reserved(revision: Revision, installation: Installation, *, log_stream: str, api: str) -> dict[str, str]:
    """Variables that a function's configuration cannot set."""
    return {
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_REGION": revision.region,
        "AWS_DEFAULT_REGION": revision.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{revision.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": revision.name,
        "AWS_LAMBDA_FUNCTION_VERSION": revision.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(revision.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": revision.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_LOG_FORMAT": "Text",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": str(installation.code),
        "LAMBDA_RUNTIME_DIR": str(installation.path[-1]),
        "_HANDLER": revision.handler,
    }


def _peak_mb(pid: int) -> int:
    """The highest resident memory so far in MB, rounded up; without /proc the present one; 0 for an ended process."""
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
        kilobytes = int(found[1]) if found else 0
    except OSError:
        kilobytes = 0 if Path("/proc/self/status").exists() else _present_kilobytes(pid)
    return -(-kilobytes // 1024)


def _present_kilobytes(pid: int) -> int:
    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(listed.stdout.strip() or 0)
