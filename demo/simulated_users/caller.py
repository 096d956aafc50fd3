"""Signed HTTP as a person's app would do it: every answer counts, also a refused one; connections stay open."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cli.errors import CommandError
from cli.target import Target

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from botocore.httpsession import URLLib3Session

TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. status: 0 when nothing did. seconds: how long it took."""

    status: int
    body: Mapping[str, Any]
    seconds: float


@dataclass(slots=True)
class Caller:
    """One thread's way to the API. Not for sharing: a connection serves one request at a time."""

    url: str
    region: str
    credentials: ReadOnlyCredentials
    _session: URLLib3Session = field(repr=False)

    @classmethod
    def of(cls, target: Target) -> Caller:
        """CommandError when the stack has no API or nobody to sign as."""
        from botocore.httpsession import URLLib3Session  # noqa: PLC0415 - 0.3 s that --help need not pay
        from botocore.utils import get_environ_proxies  # noqa: PLC0415

        url, found = target.resources.api_url.rstrip("/"), target.session.get_credentials()
        if not url or found is None:
            raise CommandError(f"stack {target.stack_name} has no output ApiUrl, or there are no credentials to sign")
        session = URLLib3Session(timeout=TIMEOUT_SECONDS, proxies=get_environ_proxies(url))
        return cls(url, target.session.region_name, found.get_frozen_credentials(), session)

    def get(self, path: str, query: Mapping[str, Any]) -> Answer:
        return self._send("GET", f"{path}?{urlencode(query)}", None)

    def post(self, path: str, body: Any) -> Answer:
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> Answer:
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.exceptions import ConnectionError as Unreachable  # noqa: PLC0415
        from botocore.exceptions import HTTPClientError  # noqa: PLC0415

        request = AWSRequest(method, self.url + path, {"Content-Type": "application/json"}, body)
        SigV4Auth(self.credentials, "execute-api", self.region).add_auth(request)
        began = time.monotonic()
        try:
            answer = self._session.send(request.prepare())
            status, content = int(answer.status_code), answer.content
        except (HTTPClientError, Unreachable):
            return Answer(0, {}, time.monotonic() - began)
        return Answer(status, _object(content), time.monotonic() - began)


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
