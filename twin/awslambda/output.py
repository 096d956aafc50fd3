"""The standard output of one environment, cut into the log events of the invocations that wrote them."""

from __future__ import annotations

import os
import select
import threading
from typing import IO

from twin.awslambda.invocation import LogLine

LINE_BYTES = 1 << 20  # CloudWatch's own limit of one event
INVOCATION_BYTES = 16 << 20  # one call's output, held in memory until it ends
_CHUNK = 1 << 16
# The runtime client joins the lines of one error by carriage returns, so that they stay one event.
_WITHIN_EVENT = "\r"


class Output:
    """Reads a pipe all the time, so that the process never blocks; `take` gives what has come since the last `take`."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._lines: list[LogLine] = []
        self._rest = b""
        self._kept = 0
        self._dropped = 0
        self._ended = False
        threading.Thread(target=self._read, name="lambda output", daemon=True).start()

    def take(self) -> tuple[LogLine, ...]:
        """All that was written up to now, also what is still in the pipe: a runtime writes before it answers."""
        with self._lock:
            while not self._ended and self._readable(0):
                self._feed()
            if self._rest:
                self._keep(self._rest)
            if self._dropped:
                self._lines.append(LogLine(f"[twin] {self._dropped} more bytes of output are not kept"))
            lines, self._lines, self._rest, self._kept, self._dropped = tuple(self._lines), [], b"", 0, 0
        return lines

    def _read(self) -> None:
        while not self._ended:
            self._readable(None)
            with self._lock:
                if not self._ended and self._readable(0):
                    self._feed()
        self._pipe.close()

    def _readable(self, timeout_ms: int | None) -> bool:
        waiting = select.poll()  # one object a call: threads may not share one
        waiting.register(self._pipe, select.POLLIN | select.POLLHUP)
        return bool(waiting.poll(timeout_ms))

    def _feed(self) -> None:
        data = os.read(self._pipe.fileno(), _CHUNK)
        self._ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._keep(line)
        if len(self._rest) > LINE_BYTES:
            self._keep(self._rest)
            self._rest = b""

    def _keep(self, line: bytes) -> None:
        if self._kept + len(line) > INVOCATION_BYTES:
            self._dropped += len(line)
            return
        self._kept += len(line)
        self._lines.append(LogLine(line.decode(errors="replace").rstrip(_WITHIN_EVENT).replace(_WITHIN_EVENT, "\n")))
