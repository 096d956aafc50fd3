"""HTTP to one container over kept connections, its response, and the errors of SageMaker's runtime API."""

from __future__ import annotations

import contextlib
import http.client
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass

#: The largest request and the largest answer.
BODY_BYTES_MAX = 6 * 1024 * 1024

#: SageMaker gives a container this long to answer, in real seconds.
RESPONSE_SECONDS = 60.0
PING_SECONDS = 2.0
_IDLE_MAX = 16


@dataclass(frozen=True, slots=True)
class ContainerResponse:
    """A container's response. seconds: how long it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class CallFailed(Exception):
    """A call that the runtime answers with an error.

    code:   ValidationError, ServiceUnavailable or ModelError.
    status: its HTTP status.
    """

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, status, message


class NoResponse(Exception):
    """The container gave no valid response; the text becomes the ModelError's message."""


def invalid_call(message: str) -> CallFailed:
    """An error of the caller."""
    return CallFailed("ValidationError", 400, message)


def unavailable(message: str) -> CallFailed:
    """No variant is available now; a retry may succeed."""
    return CallFailed("ServiceUnavailable", 503, message)


class Connections:
    """Idle connections to 127.0.0.1:`port`. Any thread may call."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue(_IDLE_MAX)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> ContainerResponse:
        """The container's response; NoResponse when it is late, too large or cut off."""
        began = time.monotonic()
        kept = self._take()
        try:
            if kept is not None:
                # The container may have closed a kept connection meanwhile: nothing was answered, so ask once more.
                with contextlib.suppress(http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                    return self._exchange(kept, path, body, headers, began)
            return self._exchange(self._new(RESPONSE_SECONDS), path, body, headers, began)
        except TimeoutError as error:
            raise NoResponse(
                "Your invocation timed out while waiting for a response from container primary. Review the latency "
                "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise NoResponse(f"the container closed the connection: {type(error).__name__}") from error

    def ping(self) -> bool:
        """Whether GET /ping answers 200 within two seconds."""
        connection = self._new(PING_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def close(self) -> None:
        """Close the idle ones."""
        while (connection := self._take()) is not None:
            connection.close()

    def _exchange(
        self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str], began: float
    ) -> ContainerResponse:
        keep = False
        try:
            connection.request("POST", path, body=body, headers=dict(headers))
            response = connection.getresponse()
            content = response.read(BODY_BYTES_MAX + 1)
            if len(content) > BODY_BYTES_MAX:
                raise NoResponse(f"the answer has more than {BODY_BYTES_MAX} bytes")
            keep = not response.will_close
            answered = {name.lower(): value for name, value in response.getheaders()}
            return ContainerResponse(response.status, answered, content, time.monotonic() - began)
        finally:
            self._give(connection, keep)

    def _new(self, timeout_seconds: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)

    def _take(self) -> http.client.HTTPConnection | None:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        return None

    def _give(self, connection: http.client.HTTPConnection, keep: bool) -> None:
        with contextlib.suppress(queue.Full):
            if keep:
                self._idle.put_nowait(connection)
                return
        connection.close()
