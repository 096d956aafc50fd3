"""Signed requests to the HTTP API of a twin over one open connection; every response counts, also an error."""

from __future__ import annotations

import http.client
import json
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from cli.errors import CommandError
from cli.target import Target

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """status: 0 when no response came. seconds: from before the signature to the last byte."""

    status: int
    body: Mapping[str, Any]
    seconds: float


@dataclass(slots=True)
class ApiClient:
    """One client of the API. Not thread-safe: a connection carries one request at a time."""

    url: str
    region: str
    credentials: ReadOnlyCredentials = field(repr=False)
    _connection: http.client.HTTPConnection = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_SECONDS)

    @classmethod
    def of(cls, target: Target) -> ApiClient:
        """Raises CommandError when the stack has no API or there are no credentials."""
        url, found = target.resources.api_url.rstrip("/"), target.session.get_credentials()
        if not url or found is None:
            raise CommandError(
                f"stack {target.stack_name} has no output ApiUrl, or no credentials are configured to sign with: "
                "deploy the template of this version, and configure AWS credentials"
            )
        return cls(url, str(target.session.region_name), found.get_frozen_credentials())

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> ApiResponse:
        return self._send("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, body: Any) -> ApiResponse:
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> ApiResponse:
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - 0.3 s that --help need not pay
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        began = time.perf_counter()
        request = AWSRequest(method, self.url + path, {"Content-Type": "application/json"} if body else {}, body)
        SigV4Auth(self.credentials, "execute-api", self.region).add_auth(request)
        try:
            self._close_if_dropped()
            self._connection.request(method, path, body, dict(request.headers.items()))
            response = self._connection.getresponse()
            status, content = response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return ApiResponse(0, {}, time.perf_counter() - began)
        return ApiResponse(status, _object(content), time.perf_counter() - began)

    def _close_if_dropped(self) -> None:
        """An idle socket with something to read was closed by the server: the next request opens another."""
        socket = self._connection.sock
        if socket is not None and select.select([socket], [], [], 0)[0]:
            self._connection.close()


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
