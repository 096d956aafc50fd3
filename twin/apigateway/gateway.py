"""Serves each HTTP API at an address of its own on this machine, and publishes AWS/ApiGateway's metrics.

Start with `Gateway(context).start()`, end with `stop()`. Without a started gateway, the first API starts one.
"""

from __future__ import annotations

import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from twin import context as twins
from twin.apigateway import proxy
from twin.apigateway.payload import Response, message
from twin.apigateway.sigv4 import Request
from twin.cloudwatch.data import Datum, publish
from twin.context import Context

BODY_BYTES_MAX = 10 * 1024 * 1024
#: The request line and the headers' values together.
HEAD_BYTES_MAX = 10_240
#: A connection without a request for so long is closed.
IDLE_SECONDS = 60
NAMESPACE = "AWS/ApiGateway"
PUBLISH_EVERY_SECONDS = 1.0

_log = logging.getLogger("usher.twin.apigateway")


class Gateway:
    """Thread-safe. `url` opens an API's address, `close` ends it."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._lock = threading.Lock()
        self._servers: dict[str, _Server] = {}

    def start(self) -> Self:
        """Become the gateway of this process."""
        global _current  # noqa: PLW0603 - moto's state is global to the process, so the APIs' addresses are too
        _current = self
        return self

    def stop(self) -> None:
        """Close every address; returns when no thread of them runs any more."""
        global _current  # noqa: PLW0603 - see above
        if _current is self:
            _current = None
        for api_id in list(self._servers):
            self.close(api_id)

    def url(self, api_id: str) -> str:
        """`http://127.0.0.1:<port>`, the address of an API; it stays the same until `close`."""
        with self._lock:
            if api_id not in self._servers:
                self._servers[api_id] = _Server(api_id)
            return f"http://127.0.0.1:{self._servers[api_id].server_port}"

    def close(self, api_id: str) -> None:
        """End an API's address, if it has one."""
        with self._lock:
            server = self._servers.pop(api_id, None)
        if server is not None:
            server.end()


_current: Gateway | None = None


def current() -> Gateway:
    """The gateway of the running twin."""
    return _current or Gateway(twins.current()).start()


class _Traffic:
    """The requests of one API since the last publication of its metrics. Thread-safe."""

    def __init__(self, api_id: str) -> None:
        self._dimensions = (("ApiId", api_id),)
        self._lock = threading.Lock()
        self._seen: list[tuple[int, float]] = []
        self._published_at = time.monotonic()

    def count(self, status: int, seconds: float) -> None:
        """One request: its response's status and its duration."""
        with self._lock:
            self._seen.append((status, seconds))

    def publish(self, *, last: bool = False) -> None:
        """Publish the metrics, once a second; `last`: at once."""
        now = time.monotonic()
        if not last and now - self._published_at < PUBLISH_EVERY_SECONDS:
            return
        self._published_at = now
        with self._lock:
            seen, self._seen = self._seen, []
        if seen:
            publish(twins.ACCOUNT, twins.current().region, NAMESPACE, self._data(seen))

    def _data(self, seen: list[tuple[int, float]]) -> list[Datum]:
        """Errors are 0 or 1 a request, so that their average is a rate, as on AWS."""
        refused = [float(400 <= status < 500) for status, _ in seen]
        failed = [float(status >= 500) for status, _ in seen]
        return [
            Datum("Count", [1.0] * len(seen), "Count", self._dimensions, as_set=True),
            Datum("4xx", refused, "Count", self._dimensions, as_set=True),
            Datum("5xx", failed, "Count", self._dimensions, as_set=True),
            Datum("Latency", [1000.0 * seconds for _, seconds in seen], "Milliseconds", self._dimensions),
        ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api_id: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api_id = api_id
        self.traffic = _Traffic(api_id)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name=f"api-{api_id}", daemon=True
        )
        self._thread.start()

    def service_actions(self) -> None:
        """Called between two connections, and regularly without any."""
        self.traffic.publish()

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(5)
        self.traffic.publish(last=True)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's signature
        _log.debug("a connection broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        """Any method: the body within its limit, then the API's response."""
        began = time.monotonic()
        response = self._respond()
        self.server.traffic.count(response.status, time.monotonic() - began)
        self._send(response)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

    def _respond(self) -> Response:
        path, _, query = self.path.partition("?")
        headers = [(name, value) for name, value in self.headers.items()]
        refused = self._refused(headers)
        if refused is not None:
            self.close_connection = True  # the body, if any, has not been read
            return refused
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, path, query, headers, self.rfile.read(length))
        return proxy.respond(self.server.api_id, request, self.client_address[0])

    def _refused(self, headers: list[tuple[str, str]]) -> Response | None:
        length = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            return message(400, "Bad Request")
        if int(length) > BODY_BYTES_MAX:
            return message(413, "Request Entity Too Large")
        if len(self.requestline) + sum(len(value) for _, value in headers) > HEAD_BYTES_MAX:
            return message(431, "Request Header Fields Too Large")
        return None

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_message(self, *args: Any) -> None:
        """Log nothing: a line for each request would hold user ids."""
