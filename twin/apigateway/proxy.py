"""One request of one HTTP API on its way: stage, route, signature, function, and the answer."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from moto.awslambda.exceptions import LambdaClientError

from twin import context
from twin.apigateway import cors, payload
from twin.apigateway.credentials import identify
from twin.apigateway.payload import Origin, Response, message
from twin.apigateway.routes import match
from twin.apigateway.sigv4 import Forbidden, Signed, verify
from twin.awslambda import pool
from twin.awslambda.invocation import Invocation, Outcome, Throttled
from twin.events.permissions import Caller, NotPermitted, check

#: HTTP APIs wait for a function so long at most, in seconds.
TIMEOUT_SECONDS = 30.0

_log = logging.getLogger("usher.twin.apigateway")


class Misconfigured(Exception):
    """A route that cannot work as it was deployed: the caller gets a 500, the twin's log this line."""


def answer(api_id: str, request: Signed, source_ip: str) -> Response:
    """What API Gateway answers to a request of the API `api_id`."""
    api = apis().get(api_id)
    if api is None:
        return message(404, "Not Found")
    if cors.is_preflight(api.cors_configuration, request):
        return cors.preflight(api.cors_configuration, request)
    return cors.allowed(api.cors_configuration, request, _routed(api, request, source_ip))


def apis() -> Mapping[str, Any]:
    """The HTTP APIs that the control plane knows, by id."""
    from moto.apigatewayv2.models import apigatewayv2_backends  # noqa: PLC0415 - moto is heavy

    known: Mapping[str, Any] = apigatewayv2_backends[context.ACCOUNT][context.current().region].apis
    return known


def _routed(api: Any, request: Signed, source_ip: str) -> Response:
    stage, path = _stage(api, request.path)
    routes = {route.route_key: route for route in api.routes.values()}
    found = match(routes, request.method, path) if stage is not None else None
    if stage is None or found is None:
        return message(404, "Not Found")
    route, now = routes[found.route_key], datetime.now(UTC)
    try:
        identity = verify(request, identify, context.current().region, now) if _is_signed(route) else None
    except Forbidden as reason:
        _log.warning("%s %s is forbidden: %s", request.method, request.path[:200], reason)
        return message(403, "Forbidden")
    origin = Origin(api.api_id, stage.name, stage.stage_variables or {}, source_ip, now)
    try:
        return _integrated(api, route, origin, payload.event(request, found, origin, identity))
    except Misconfigured as reason:
        _log.error("route %s: %s", route.route_key, reason)
        return message(500, "Internal Server Error")


def _is_signed(route: Any) -> bool:
    """Whether a route asks for SigV4. Others than that and NONE the twin refuses when the route is made."""
    return bool(route.authorization_type == "AWS_IAM")


def _stage(api: Any, path: str) -> tuple[Any, str]:
    """The stage of a path, and the path within it; a stage without AutoDeploy serves nothing, as nobody deployed it."""
    first, _, rest = path.lstrip("/").partition("/")
    serving = {name: stage for name, stage in api.stages.items() if stage.auto_deploy}
    if first in serving:
        return serving[first], f"/{rest}"
    return serving.get("$default"), path


def _integrated(api: Any, route: Any, origin: Origin, event: Mapping[str, Any]) -> Response:
    integration = api.integrations.get(str(route.target or "").removeprefix("integrations/"))
    if integration is None or integration.integration_type != "AWS_PROXY":
        raise Misconfigured(f"its target {route.target} is no AWS_PROXY integration")
    function_arn = _function_arn(integration.integration_uri)
    api_arn = f"arn:aws:execute-api:{context.current().region}:{context.ACCOUNT}:{api.api_id}"
    method, _, path = route.route_key.partition(" ")
    place = f"{'*' if method == 'ANY' else method}{path}"
    try:
        check(function_arn, Caller("apigateway.amazonaws.com", f"{api_arn}/{origin.stage}/{place}"))
    except NotPermitted as reason:
        raise Misconfigured(str(reason)) from reason
    seconds = min((integration.timeout_in_millis or 30_000) / 1000, TIMEOUT_SECONDS)
    return _invoked(function_arn, json.dumps(event).encode(), seconds)


def _invoked(function_arn: str, event: bytes, seconds: float) -> Response:
    called: Future[Outcome] = Future()
    threading.Thread(target=_call, args=(called, function_arn, event), name="api-invoke", daemon=True).start()
    try:
        outcome = called.result(seconds)
    except (TimeoutError, Throttled):
        return message(503, "Service Unavailable")
    except LambdaClientError as reason:
        raise Misconfigured(f"{function_arn} cannot be called: {reason}") from reason
    if outcome.failed:
        return message(500, "Internal Server Error")
    try:
        return payload.response(outcome.payload)
    except (ValueError, TypeError, AttributeError) as reason:
        raise Misconfigured(f"{function_arn} answered with something that is no response: {reason}") from reason


def _call(called: Future[Outcome], function_arn: str, event: bytes) -> None:
    try:
        called.set_result(_run(function_arn, event))
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
        called.set_exception(error)


def _run(function_arn: str, event: bytes) -> Outcome:
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415 - moto is heavy

    function = lambda_backends[context.ACCOUNT][context.current().region].get_function(function_arn)
    return pool.current().invoke(function, Invocation(event, function_arn))


def _function_arn(uri: str) -> str:
    """A function's ARN, given as itself or within API Gateway's own `arn:…/functions/<ARN>/invocations`."""
    _, found, rest = uri.partition("/functions/")
    return rest.removesuffix("/invocations") if found else uri
