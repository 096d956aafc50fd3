"""The program `serve`: one bundle behind SageMaker's two routes, `GET /ping` and `POST /invocations`.

The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from usher_models.container import Paths
from usher_scorer.bundle import Bundle, load
from usher_scorer.errors import RequestError, ScorerError
from usher_scorer.invocations import BODY_MAX_BYTES, invoke, problem

PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
HOST_VARIABLE = "USHER_BIND_HOST"
#: A connection that sends nothing for so long is closed.
IDLE_SECONDS = 60
#: How long running requests may take after SIGTERM: SageMaker sends SIGKILL after 30 s.
DRAIN_SECONDS = 25.0


class Server(ThreadingHTTPServer):
    """Serves `bundle`, which is None until it is loaded."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)
        self.bundle: Bundle | None = None
        self.draining = False
        self._changed = threading.Condition()
        self._connections: dict[Any, bool] = {}  # open socket → whether a request runs on it

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count a new connection in, before its thread starts."""
        with self._changed:
            self._connections[request] = False
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and count it out."""
        super().shutdown_request(request)
        with self._changed:
            self._connections.pop(request, None)
            self._changed.notify_all()

    def mark(self, connection: Any, *, busy: bool) -> None:
        """Note whether a request runs on `connection`."""
        with self._changed:
            self._connections[connection] = busy
            if self.draining and not busy:
                _end_input(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what failed on a connection; one that the client has reset is no fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def drain(self, seconds: float) -> bool:
        """Close the listening socket and the idle connections, wait for running requests; False when time is up."""
        self.server_close()
        with self._changed:
            self.draining = True
            for connection, busy in self._connections.items():
                if not busy:
                    _end_input(connection)
            return self._changed.wait_for(lambda: not self._connections, seconds)


def _end_input(connection: socket.socket) -> None:
    """Let its thread read what has arrived already, and then the end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def parse_request(self) -> bool:
        """From its first line to its response a request runs, and SIGTERM waits for it."""
        self.server.mark(self.connection, busy=True)
        return super().parse_request()

    def handle_one_request(self) -> None:
        """Handle one request and mark the connection idle."""
        super().handle_one_request()
        self.server.mark(self.connection, busy=False)

    def do_GET(self) -> None:
        """200 when requests can be answered, 503 before."""
        if self.path != "/ping":
            self._send(
                HTTPStatus.NOT_FOUND,
                _error("not_found", f"the path {self.path[:80]} is not GET /ping or POST /invocations"),
            )
        elif self.server.bundle is None:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, _error("loading", "the model is being loaded"))
        else:
            self._send(HTTPStatus.OK, {"model_id": self.server.bundle.manifest.model_id})

    def do_POST(self) -> None:
        """200 with the result, 400 for a malformed request, 503 before the model is loaded."""
        if self.path != "/invocations":
            return self._send(
                HTTPStatus.NOT_FOUND,
                _error("not_found", f"the path {self.path[:80]} is not GET /ping or POST /invocations"),
            )
        body = self._body()
        if body is None:
            return None
        if self.server.bundle is None:
            return self._send(HTTPStatus.SERVICE_UNAVAILABLE, _error("loading", "the model is being loaded"))
        try:
            return self._send(HTTPStatus.OK, invoke(self.server.bundle, body))
        except RequestError as error:
            return self._send(HTTPStatus.BAD_REQUEST, problem(error))
        except Exception as error:  # noqa: BLE001 - every failure must reach the job's FailureReason
            sys.stderr.write(f"invocation failed: {type(error).__name__}: {error}\n")
            return self._send(HTTPStatus.INTERNAL_SERVER_ERROR, _error("internal", "the model failed on this request"))

    def _body(self) -> bytes | None:
        """The body; None when its length is missing or too large: the error response is sent."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            self.close_connection = True
            self._send(HTTPStatus.LENGTH_REQUIRED, _error("length_required", "send a Content-Length"))
            return None
        if int(length) > BODY_MAX_BYTES:
            self.close_connection = True
            self._send(HTTPStatus.BAD_REQUEST, _error("too_large", f"at most {BODY_MAX_BYTES} bytes are allowed"))
            return None
        return self.rfile.read(int(length))

    def _send(self, status: HTTPStatus, answer: Mapping[str, Any]) -> None:
        data = json.dumps(answer, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.server.draining:
            self.send_header("Connection", "close")  # also sets close_connection
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Log nothing: a line for each request would cost more than the request."""


def serve(paths: Paths, environ: Mapping[str, str] = os.environ) -> int:
    """Serve until SIGTERM, finish the running requests, exit 0; a model that cannot be read: one line and exit 1."""
    host, port = environ.get(HOST_VARIABLE, "127.0.0.1"), _port(environ)
    failure: list[str] = []
    with Server((host, port)) as server:

        def stop(*_: object) -> None:
            threading.Thread(target=server.shutdown).start()

        def load_bundle() -> None:
            try:
                server.bundle = load(paths.model)
            except ScorerError as error:
                failure.append(str(error))
            except Exception as error:  # noqa: BLE001 - else the server would answer 503 for ever
                failure.append(f"{paths.model} cannot be read ({type(error).__name__}: {error}): make the bundle again")
            if failure:
                stop()

        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, stop)
        threading.Thread(target=load_bundle, daemon=True).start()
        server.serve_forever(poll_interval=0.1)
        if not failure and not server.drain(DRAIN_SECONDS):
            sys.stderr.write(f"serve: requests still ran {DRAIN_SECONDS:.0f} s after the signal and were cut off\n")
    if failure:
        sys.stderr.write(f"serve: {' '.join(failure[0].split())}\n")
        return 1
    return 0


def _port(environ: Mapping[str, str]) -> int:
    text = environ.get(PORT_VARIABLE, "8080")
    if not text.isdigit() or int(text) > 65535:
        raise SystemExit(f"{PORT_VARIABLE} is {text!r}: it must be a port from 0 to 65535")
    return int(text)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
