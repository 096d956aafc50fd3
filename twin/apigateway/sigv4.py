"""Verifies AWS Signature Version 4 as API Gateway does, from the bytes of the request.

Written from AWS's description and without botocore's signer, so that two implementations have to agree.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from twin import context

SERVICE = "execute-api"
#: A signature is valid for five minutes around its date.
WINDOW_SECONDS = 300
_ALGORITHM = "AWS4-HMAC-SHA256"
_HEADER = re.compile(
    _ALGORITHM + r"\s+Credential=([^\s,/]+)/(\d{8})/([^\s,/]+)/([^\s,/]+)/aws4_request\s*,"
    r"\s*SignedHeaders=([a-z0-9;_.-]+)\s*,\s*Signature=([0-9a-f]{64})"
)


class Forbidden(Exception):
    """A request is not signed correctly; the message, for the twin's log, is the reason."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as received. path: without the query, still encoded. headers: (name, value), in their order."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The values of a header, joined by commas as signing joins them; empty when it does not exist."""
        return ",".join(" ".join(value.split()) for key, value in self.headers if key.lower() == name)

    def headers_by_name(self) -> dict[str, str]:
        """Headers as a function gets them: names in lower case, several values joined by commas."""
        joined: dict[str, str] = {}
        for name, value in self.headers:
            key = name.lower()
            joined[key] = f"{joined[key]},{value}" if key in joined else value
        return joined


def verify(request: Request, region: str, now: datetime) -> None:
    """Forbidden unless the request is signed with the twin's own key, for this service and region, at this time."""
    found = _HEADER.fullmatch(request.header("authorization").strip())
    if found is None:
        raise Forbidden("there is no AWS4-HMAC-SHA256 signature in the Authorization header")
    access_key, day, signed_region, service, names, signature = found.groups()
    if (signed_region, service) != (region, SERVICE):
        raise Forbidden(f"the signature is for {service} in {signed_region}, not for {SERVICE} in {region}")
    signed_names = names.split(";")
    moment = _moment(request, day, now)
    if access_key != context.ACCESS_KEY:
        raise Forbidden(f"the access key {access_key[:32]} is not the twin's")
    _check_headers(request, signed_names)
    scope = f"{day}/{signed_region}/{service}/aws4_request"
    digest = hashlib.sha256(_canonical(request, signed_names).encode()).hexdigest()
    text = f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}"
    expected = hmac.new(_key(context.SECRET_KEY, scope), text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise Forbidden("the signature does not match the request")


def authorizer() -> Mapping[str, str | None]:
    """`requestContext.authorizer.iam` of payload 2.0, for the twin's own key."""
    root = f"arn:aws:iam::{context.ACCOUNT}:root"
    return {
        "accessKey": context.ACCESS_KEY,
        "accountId": context.ACCOUNT,
        "callerId": context.ACCOUNT,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": root,
        "userId": context.ACCOUNT,
    }


def _canonical(request: Request, signed_names: Sequence[str]) -> str:
    """The canonical request: the path encoded a second time, the query sorted, the body by its digest."""
    path = posixpath.normpath("/" + request.path.lstrip("/"))
    if request.path.endswith("/") and path != "/":
        path += "/"
    return "\n".join(
        [
            request.method,
            quote(path, safe="/-_.~"),
            _canonical_query(request.query),
            *(f"{name}:{request.header(name)}" for name in signed_names),
            "",
            ";".join(signed_names),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )


def _moment(request: Request, day: str, now: datetime) -> str:
    text = request.header("x-amz-date")
    try:
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Forbidden("there is no X-Amz-Date such as 20300101T000000Z") from None
    if text[:8] != day or abs((now - moment).total_seconds()) > WINDOW_SECONDS:
        raise Forbidden(f"the signature of {text} is too far from the present time ({now:%Y%m%dT%H%M%SZ})")
    return text


def _check_headers(request: Request, signed_names: Sequence[str]) -> None:
    if list(signed_names) != sorted(set(signed_names)) or not {"host", "x-amz-date"} <= set(signed_names):
        raise Forbidden("SignedHeaders has to name host and x-amz-date, in order")
    amz = {name.lower() for name, _ in request.headers if name.lower().startswith("x-amz-")}
    if missing := sorted(amz - set(signed_names)):
        raise Forbidden(f"the header {missing[0]} is not signed")
    if "x-amz-security-token" in amz:
        raise Forbidden("the twin's own key has no session token")


def _canonical_query(query: str) -> str:
    pairs = [part.partition("=") for part in query.split("&") if part]
    encoded = [(_encoded(name), _encoded(value)) for name, _, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _encoded(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe="-_.~", errors="surrogateescape")


def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
