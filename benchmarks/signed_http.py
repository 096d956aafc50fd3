"""Signed requests to a twin's HTTP API over one connection, timed: what benchmarks ask with."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from cli.target import Target

TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Reply:
    """seconds: from before the signature to the last byte."""

    status: int
    body: dict[str, Any]
    seconds: float


@dataclass(slots=True)
class Caller:
    """One client of the API; not thread-safe."""

    url: str
    credentials: Any
    region: str
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_SECONDS)

    @classmethod
    def of(cls, target: Target) -> Caller:
        credentials = target.session.get_credentials()
        assert credentials is not None
        return cls(target.resources.api_url, credentials.get_frozen_credentials(), str(target.session.region_name))

    def get(self, path: str) -> Reply:
        """GET path."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> Reply:
        """POST path with `body` as JSON."""
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> Reply:
        """A connection that the server closed is opened again by the next request."""
        started = time.perf_counter()
        request = AWSRequest(method, self.url + path, {"Content-Type": "application/json"} if body else {}, body)
        SigV4Auth(self.credentials, "execute-api", self.region).add_auth(request)
        try:
            self._connection.request(method, path, body, dict(request.headers.items()))
            answer = self._connection.getresponse()
            text = answer.read()
        except BaseException:
            self._connection.close()
            raise
        return Reply(answer.status, json.loads(text), time.perf_counter() - started)
