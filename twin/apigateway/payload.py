"""Payload format 2.0: a request as the event that a function gets, and a function's result as a response."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote, unquote_plus

from twin import context
from twin.apigateway import sigv4
from twin.apigateway.sigv4 import Request

_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "application/problem+json")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: the API, the route's key, the client's address, the time."""

    api_id: str
    route_key: str
    source_ip: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a client."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def message(status: int, text: str) -> Response:
    """API Gateway's own responses."""
    return Response(status, json.dumps({"message": text}).encode(), (("content-type", "application/json"),))


def event(request: Request, origin: Origin, *, signed: bool) -> dict[str, Any]:
    """The event of a request. Empty optional keys are left out, as on AWS."""
    headers = request.headers_by_name()
    body, in_base64 = _body(request, headers)
    optional = {"queryStringParameters": _query(request.query), "body": body}
    return {
        "version": "2.0",
        "routeKey": origin.route_key,
        "rawPath": unquote(request.path),
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": _context(request, origin, headers)
        | ({"authorizer": {"iam": sigv4.authorizer()}} if signed else {}),
        "isBase64Encoded": in_base64,
        **{name: value for name, value in optional.items() if value},
    }


def response(payload: bytes) -> Response:
    """A function's result as a response; ValueError unless it is a structured response with a string as its body."""
    result = json.loads(payload)
    if not isinstance(result, dict) or "statusCode" not in result:
        raise ValueError("there is no statusCode")
    status = int(result["statusCode"])
    if not 100 <= status <= 599:
        raise ValueError(f"statusCode {status}")
    if result.get("isBase64Encoded") or result.get("cookies"):
        raise ValueError("the twin's gateway supports neither base64 nor cookies in a response")
    headers = [(str(name).lower(), str(value)) for name, value in (result.get("headers") or {}).items()]
    if any("\r" in value or "\n" in value for pair in headers for value in pair):
        raise ValueError("a header has more than one line")
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    body = result.get("body") or ""
    if not isinstance(body, str):
        raise ValueError("the body is not a string")
    return Response(status, body.encode(), tuple(headers))


def _context(request: Request, origin: Origin, headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "accountId": context.ACCOUNT,
        "apiId": origin.api_id,
        "domainName": headers.get("host", ""),
        "domainPrefix": origin.api_id,
        "http": {
            "method": request.method,
            "path": unquote(request.path),
            "protocol": "HTTP/1.1",
            "sourceIp": origin.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": str(uuid.uuid4()),
        "routeKey": origin.route_key,
        "stage": "$default",
        "time": origin.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(origin.at.timestamp() * 1000),
    }


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split("&")):
        name, _, value = part.partition("=")
        key, value = unquote_plus(name), unquote_plus(value)
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def _body(request: Request, headers: Mapping[str, str]) -> tuple[str, bool]:
    """The body, and whether it is base64: for types that are not text, and for what is not UTF-8."""
    kind = headers.get("content-type", "text/plain").lower()
    if not request.body or kind.startswith(_TEXT):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True
