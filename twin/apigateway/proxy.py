"""Answers a request of one HTTP API: finds the route, verifies the signature, invokes the function."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import LambdaClientError

from twin import context
from twin.apigateway import payload
from twin.apigateway.payload import Origin, Response, message
from twin.apigateway.sigv4 import Forbidden, Request, verify
from twin.awslambda import pool
from twin.awslambda.invocation import Invocation, Outcome, Throttled
from twin.iam import authorization
from twin.iam.resource_policies import exists

#: HTTP APIs wait at most so many seconds for a function.
TIMEOUT_SECONDS = 30.0

_log = logging.getLogger("usher.twin.apigateway")


class Misconfigured(Exception):
    """A route cannot work as it was deployed: the client gets a 500, the twin's log this message."""


def respond(api_id: str, request: Request, source_ip: str) -> Response:
    """API Gateway's response to a request of the API `api_id`. A stage without AutoDeploy serves nothing."""
    from moto.apigatewayv2.models import apigatewayv2_backends  # noqa: PLC0415 - moto is heavy

    api = apigatewayv2_backends[context.ACCOUNT][context.current().region].apis.get(api_id)
    if api is None or not any(name == "$default" and stage.auto_deploy for name, stage in api.stages.items()):
        return message(404, "Not Found")
    route_key = f"{request.method} {unquote(request.path)}"
    route = next((one for one in api.routes.values() if one.route_key == route_key), None)
    if route is None:
        return message(404, "Not Found")
    signed, now = route.authorization_type == "AWS_IAM", datetime.now(UTC)
    try:
        if signed:
            verify(request, context.current().region, now)
    except Forbidden as reason:
        _log.warning("%s %s is forbidden: %s", request.method, request.path[:200], reason)
        return message(403, "Forbidden")
    event = payload.event(request, Origin(api_id, route_key, source_ip, now), signed=signed)
    try:
        return _integrated(api, route, event)
    except Misconfigured as reason:
        _log.error("route %s: %s", route_key, reason)
        return message(500, "Internal Server Error")


def _integrated(api: Any, route: Any, event: Mapping[str, Any]) -> Response:
    integration = api.integrations.get(str(route.target or "").removeprefix("integrations/"))
    if integration is None or integration.integration_type != "AWS_PROXY":
        raise Misconfigured(f"its target {route.target} is not an AWS_PROXY integration")
    function_arn = integration.integration_uri
    api_arn = f"arn:aws:execute-api:{context.current().region}:{context.ACCOUNT}:{api.api_id}"
    try:
        source = f"{api_arn}/$default/{route.route_key.replace(' ', '')}"
        if exists(function_arn):  # the invocation itself reports a missing function
            authorization.check_service("apigateway.amazonaws.com", source, "lambda:InvokeFunction", function_arn)
    except authorization.AccessDenied as reason:
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
        raise Misconfigured(f"{function_arn} cannot be invoked: {reason}") from reason
    if outcome.failed:
        return message(500, "Internal Server Error")
    try:
        return payload.response(outcome.payload)
    except (ValueError, TypeError, AttributeError) as reason:
        raise Misconfigured(f"the result of {function_arn} is not a response: {reason}") from reason


def _call(called: Future[Outcome], function_arn: str, event: bytes) -> None:
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415 - moto is heavy

    try:
        function = lambda_backends[context.ACCOUNT][context.current().region].get_function(function_arn)
        called.set_result(pool.current().invoke(function, Invocation(event, function_arn)))
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
        called.set_exception(error)
