"""Requests to Usher's HTTP API, signed with the target's credentials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cli.errors import CommandError
from cli.formatting.terminal import printable
from cli.target import Target

TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Response:
    """The API's response. body: empty when it was not a JSON object. retry_seconds: the header Retry-After."""

    status: int
    body: Mapping[str, Any]
    retry_seconds: float | None = None


def get(target: Target, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """GET without the empty parameters; CommandError with the API's reason unless it returns items."""
    given = {name: value for name, value in query.items() if value not in (None, "", [], False)}
    text = urlencode(given | {name: "true" for name, value in given.items() if value is True}, doseq=True)
    return _items(exchange(target, "GET", f"{path}?{text}" if text else path))


def post(target: Target, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """POST without the empty fields; CommandError with the API's reason unless it returns items."""
    given = {name: value for name, value in body.items() if value not in (None, "", [], False)}
    return _items(exchange(target, "POST", path, json.dumps(given).encode()))


def exchange(target: Target, method: str, path: str, body: bytes = b"") -> Response:
    """Send one signed request; CommandError when the API rejects the signature."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - 0.3 s that --help need not pay
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.exceptions import NoCredentialsError  # noqa: PLC0415

    credentials = target.session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    request = AWSRequest(method, _url(target) + path, {"Content-Type": "application/json"}, body or None)
    SigV4Auth(credentials.get_frozen_credentials(), "execute-api", target.session.region_name).add_auth(request)
    answer = _send(request)
    if answer.status_code == 403:
        raise CommandError("the API rejected the signature (403): use credentials of its account that may call it")
    return Response(answer.status_code, _object(answer.content), _seconds(answer.headers.get("retry-after")))


def status_without_signature(target: Target, path: str) -> int:
    """The status of a GET that carries no signature."""
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - 0.3 s that --help need not pay

    return int(_send(AWSRequest("GET", _url(target) + path)).status_code)


def _url(target: Target) -> str:
    if not target.resources.api_url:
        raise CommandError(f"stack {target.stack_name} has no output ApiUrl: deploy the current template.yaml")
    return target.resources.api_url.rstrip("/")


def _send(request: Any) -> Any:
    from botocore.httpsession import URLLib3Session  # noqa: PLC0415 - 0.3 s that --help need not pay
    from botocore.utils import get_environ_proxies  # noqa: PLC0415

    return URLLib3Session(timeout=TIMEOUT_SECONDS, proxies=get_environ_proxies(request.url)).send(request.prepare())


def refused(response: Response) -> CommandError:
    """The error of a request that the API refused."""
    reason = response.body.get("detail") or response.body.get("message")
    return CommandError(printable(f"the API answered {response.status}: {reason or 'it gave no reason'}"))


def _items(response: Response) -> dict[str, Any]:
    if response.status == 200 and "items" in response.body:
        return dict(response.body)
    raise refused(response)


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
