"""In front of moto's server: who signed a call, what it needs, and whether the caller's policies allow it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from twin.iam import authorization, calls, denials, sessions
from twin.iam.record import RECORD
from twin.iam.request import Check, HttpCall, Principal
from twin.moto_patches.registry import original

DISPATCH = "moto.moto_server.werkzeug_app:DomainDispatcherApplication.__call__"

_AUTHORIZATION = re.compile(r"Credential=([^/]+)/[^/]+/([^/]+)/([^/]+)/aws4_request")
_PRESIGNED = re.compile(r"X-Amz-Credential=([^/&]+)/[^/&]+/([^/&]+)/([^/&]+)/aws4_request")
_PRESIGNED_V2 = re.compile(r"AWSAccessKeyId=([^&]+)")
#: moto's own pages and the health check of the twin; AWS has nothing under these.
_OWN_PATHS = ("/moto-api", "/favicon.ico")

Environ = MutableMapping[str, Any]


def dispatch(self: Any, environ: Environ, start_response: Any) -> Iterable[bytes]:
    """DomainDispatcherApplication.__call__: authorize the call, and pass on what is allowed."""
    refusal = _refusal(environ)
    if refusal is not None:
        return _respond(environ, start_response, refusal)
    answer: Iterable[bytes] = original(DISPATCH)(self, environ, start_response)
    return answer


def _refusal(environ: Environ) -> denials.Answer | None:
    scope = _scope(environ)
    if scope is None:
        return None
    access_key, region, service = scope
    principal = sessions.principal_of(access_key)
    if principal is sessions.ADMINISTRATOR:
        return None
    call = _call(environ, region, service)
    if not access_key:
        return denials.answer(call, "MissingAuthenticationToken", "Missing Authentication Token")
    if principal is None:
        return denials.answer(call, "UnrecognizedClient", "The security token included in the request is invalid.")
    return _authorized(principal, call)


def _authorized(principal: Principal, call: HttpCall) -> denials.Answer | None:
    try:
        authorization.check(principal, calls.checks_of(call))
    except authorization.AccessDenied as error:
        return denials.denied(call, str(error))
    except calls.MalformedCall as error:
        return denials.answer(call, "ValidationException", str(error))
    except calls.UnknownCall as error:
        RECORD.denied(principal, Check(f"{call.service}:?", "*"), str(error))
        return denials.denied(call, str(error))
    return None


def _scope(environ: Environ) -> tuple[str, str, str] | None:
    """Access key, region and service of the signature; no key for a call without one, None for the twin's own pages."""
    if environ.get("PATH_INFO", "").startswith(_OWN_PATHS):
        return None
    query = unquote(environ.get("QUERY_STRING", ""))
    signed = _AUTHORIZATION.search(environ.get("HTTP_AUTHORIZATION", "")) or _PRESIGNED.search(query)
    if signed:
        return signed[1], signed[2], signed[3].lower()
    presigned = _PRESIGNED_V2.search(query)
    return (presigned[1] if presigned else ""), "", "s3"


def _call(environ: Environ, region: str, service: str) -> HttpCall:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
    if "CONTENT_TYPE" in environ:
        headers["content-type"] = environ["CONTENT_TYPE"]
    path = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/")
    method = environ["REQUEST_METHOD"]
    call = HttpCall(service, region, method, path.partition("?")[0], environ.get("QUERY_STRING", ""), headers, b"")
    return replace(call, body=_body(environ)) if calls.needs_body(call) else call


def _body(environ: Environ) -> bytes:
    """The body, which is put back for moto."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return b""
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _respond(environ: Environ, start_response: Any, refusal: denials.Answer) -> Iterable[bytes]:
    """The refusal; a body that was not read is discarded, so that the connection stays usable."""
    status, headers, body = refusal
    _body(environ)
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]
