"""The Lambda Runtime API of one execution environment, which the runtime client in its process polls for events.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. It listens on 127.0.0.1, a free port.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Literal

from twin.awslambda.invocation import RESPONSE_PAYLOAD_BYTES, Invocation

_PATH = re.compile(r"^/2018-06-01/runtime/(?:init/(?P<init>error)|invocation/(?P<id>[^/]+)/(?P<kind>response|error))$")
_NEXT = "/2018-06-01/runtime/invocation/next"
_CHUNK = 1 << 16

Kind = Literal["ready", "init_error", "response", "error", "too_large", "exited", "timeout"]


@dataclass(frozen=True, slots=True)
class Report:
    """What the process did: asked for an event (`ready`), responded, failed, or ended (`exited`, with the reason)."""

    kind: Kind
    request_id: str = ""
    body: bytes = b""


class RuntimeApi:
    """`offer` gives the process an event, `reports` holds what it did. `close` frees the port."""

    def __init__(self) -> None:
        self.reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[tuple[Invocation, float] | None] = queue.SimpleQueue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closed = False
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name=f"runtime-api {self.address}", daemon=True).start()

    def offer(self, invocation: Invocation, deadline: float) -> None:
        """Hand over an event; deadline: seconds since 1970."""
        self._events.put((invocation, deadline))

    def next(self) -> tuple[Invocation, float] | None:
        """Wait for an event; None: the environment ends. Only a runtime that has finished its init requests one."""
        self.reports.put(Report("ready"))
        return self._events.get()

    def close(self) -> None:
        """Stop listening and release waiting threads."""
        if self._closed:
            return
        self._closed = True
        self._events.put(None)
        with contextlib.suppress(OSError), socket.create_connection(self._listener.getsockname(), timeout=1):
            pass  # closing a socket does not wake a thread that accepts on it; a connection does
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, address), daemon=True).start()

    def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        with connection, contextlib.suppress(OSError):  # a killed process leaves a broken connection behind
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Handler(connection, address, self)  # type: ignore[arg-type]  # it only keeps a reference


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave in one packet
    server: RuntimeApi  # type: ignore[assignment]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != _NEXT:
            self._answer(404)
            return
        event = self.server.next()
        if event is None:
            self._answer(410)
            return
        invocation, deadline = event
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        self._answer(200, invocation.payload, headers)

    def do_POST(self) -> None:
        matched = _PATH.match(self.path)
        length = self.headers.get("Content-Length")
        if matched is None or length is None:
            self._answer(404 if matched is None else 411)
            return
        body = self._body(int(length))
        if body is None:
            self._answer(413)
            self.server.reports.put(Report("too_large", matched["id"] or "", length.encode()))
            return
        kind: Kind = "init_error" if matched["init"] else "error" if matched["kind"] == "error" else "response"
        self._answer(202)
        self.server.reports.put(Report(kind, matched["id"] or "", body))

    def _body(self, length: int) -> bytes | None:
        """The body; None when it exceeds Lambda's limit: it is read to its end, but not kept."""
        if length <= RESPONSE_PAYLOAD_BYTES:
            return self.rfile.read(length)
        while length > 0 and (chunk := self.rfile.read(min(length, _CHUNK))):
            length -= len(chunk)
        return None

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
