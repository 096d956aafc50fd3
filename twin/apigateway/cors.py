"""CORS as an HTTP API with a CorsConfiguration does it: preflights are answered here, answers get their headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from twin.apigateway.payload import Response
from twin.apigateway.sigv4 import Signed

Configuration = Mapping[str, Any] | None


def is_preflight(configuration: Configuration, request: Signed) -> bool:
    """Whether the API itself answers: OPTIONS with an origin, and the API has a configuration."""
    return bool(configuration) and request.method == "OPTIONS" and bool(request.header("origin"))


def preflight(configuration: Configuration, request: Signed) -> Response:
    """204, with what is allowed to an origin that is; to any other nothing is said."""
    return Response(204, b"", _headers(configuration or {}, request.header("origin"), full=True))


def allowed(configuration: Configuration, request: Signed, response: Response) -> Response:
    """The response with the API's headers in place of the function's, where the request names an origin."""
    origin = request.header("origin")
    if not configuration or not origin:
        return response
    own = tuple(pair for pair in response.headers if not pair[0].startswith("access-control-"))
    return replace(response, headers=own + _headers(configuration, origin, full=False))


def _headers(configuration: Mapping[str, Any], origin: str, *, full: bool) -> tuple[tuple[str, str], ...]:
    origins = configuration.get("allowOrigins") or []
    if "*" not in origins and origin not in origins:
        return ()
    said = {"access-control-allow-origin": "*" if "*" in origins else origin}
    lists = {"access-control-expose-headers": "exposeHeaders"}
    if full:
        lists |= {"access-control-allow-methods": "allowMethods", "access-control-allow-headers": "allowHeaders"}
        if configuration.get("maxAge"):
            said["access-control-max-age"] = str(configuration["maxAge"])
    said |= {name: ",".join(configuration[key]) for name, key in lists.items() if configuration.get(key)}
    if configuration.get("allowCredentials"):
        said["access-control-allow-credentials"] = "true"
    return tuple(said.items())
