"""Payload format 2.0: a request as the event that a function gets, and a function's result as a response."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote, unquote_plus

from twin import context
from twin.apigateway.credentials import Identity
from twin.apigateway.routes import Match
from twin.apigateway.sigv4 import Signed, by_name

_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "application/problem+json")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came in: the API, its stage, from which address, when."""

    api_id: str
    stage: str
    stage_variables: Mapping[str, str]
    source_ip: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = field(default=())


def message(status: int, text: str) -> Response:
    """API Gateway's own answers."""
    return Response(status, json.dumps({"message": text}).encode(), (("content-type", "application/json"),))


def event(request: Signed, route: Match, origin: Origin, identity: Identity | None) -> dict[str, Any]:
    """The event of a request. Keys that have nothing to say are left out, as AWS leaves them out."""
    headers = dict(by_name(request.headers))
    cookies = [part.strip() for part in headers.pop("cookie", "").split(";") if part.strip()]
    path = unquote(request.path)
    optional = {
        "cookies": cookies,
        "queryStringParameters": _query(request.query),
        "pathParameters": route.path_parameters,
        "stageVariables": dict(origin.stage_variables),
        "body": _body(request, headers)[0] if request.body else "",
    }
    return {
        "version": "2.0",
        "routeKey": route.route_key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": _context(request, route, origin, identity, headers),
        "isBase64Encoded": bool(request.body) and _body(request, headers)[1],
        **{name: value for name, value in optional.items() if value},
    }


def response(payload: bytes) -> Response:
    """A function's result: a structured response, or anything else as a JSON body. ValueError for a malformed one."""
    result = json.loads(payload)
    if not isinstance(result, dict) or "statusCode" not in result:
        body = result if isinstance(result, str) else json.dumps(result)
        return Response(200, body.encode(), (("content-type", "application/json"),))
    status = int(result["statusCode"])
    if not 100 <= status <= 599:
        raise ValueError(f"statusCode {status}")
    headers = [(str(name).lower(), str(value)) for name, value in (result.get("headers") or {}).items()]
    headers += [("set-cookie", str(cookie)) for cookie in result.get("cookies") or ()]
    if any("\r" in value or "\n" in value for pair in headers for value in pair):
        raise ValueError("a header has more than one line")
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    return Response(status, _decoded(result), tuple(headers))


def _context(
    request: Signed, route: Match, origin: Origin, identity: Identity | None, headers: Mapping[str, str]
) -> dict[str, Any]:
    host = headers.get("host", "")
    said: dict[str, Any] = {
        "accountId": context.ACCOUNT,
        "apiId": origin.api_id,
        "domainName": host,
        "domainPrefix": origin.api_id,
        "http": {
            "method": request.method,
            "path": unquote(request.path),
            "protocol": "HTTP/1.1",
            "sourceIp": origin.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": str(uuid.uuid4()),
        "routeKey": route.route_key,
        "stage": origin.stage,
        "time": origin.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(origin.at.timestamp() * 1000),
    }
    return said | ({"authorizer": {"iam": identity.as_authorizer()}} if identity else {})


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split("&")):
        name, _, value = part.partition("=")
        key, value = unquote_plus(name), unquote_plus(value)
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def _body(request: Signed, headers: Mapping[str, str]) -> tuple[str, bool]:
    """The body, and whether it is in base64: what is no text by its type, or no UTF-8."""
    kind = headers.get("content-type", "text/plain").lower()
    if kind.startswith(_TEXT):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _decoded(result: Mapping[str, Any]) -> bytes:
    body = result.get("body")
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    if not result.get("isBase64Encoded"):
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("the body is no base64") from error
