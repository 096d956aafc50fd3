"""Amazon API Gateway, whose permissions are HTTP methods on paths, and the invocation of an API.

https://docs.aws.amazon.com/apigateway/latest/developerguide/security_iam_service-with-iam.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-control-access-using-iam-policies-to-invoke-api.html
"""

from __future__ import annotations

import re

from twin.iam.calls.tables import PARTITION, UnknownCall, arn_base
from twin.iam.calls.templates import MalformedCall
from twin.iam.request import Check, HttpCall

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_API_HOST = re.compile(r"([a-z0-9]+)\.execute-api\..+")


def managed(call: HttpCall) -> list[Check]:
    """A request to API Gateway itself, of version 1 or 2: `apigateway:POST` on `/apis/<id>/routes`."""
    if call.method not in METHODS:
        raise UnknownCall(f"the twin does not know which permission apigateway {call.method} needs")
    path = call.path.removeprefix("/v2").rstrip("/")
    return [Check(f"apigateway:{call.method}", f"arn:{PARTITION}:apigateway:{call.region}::{path}")]


def invoked(call: HttpCall) -> list[Check]:
    """A request to an HTTP API, in its stage `$default`: execute-api:Invoke on `<api>/<stage>/<method>/<path>`."""
    match = _API_HOST.fullmatch(call.headers.get("host", ""))
    if match is None:
        raise MalformedCall(f"the host names no API: {call.headers.get('host', '')[:80]!r}")
    return [Check("execute-api:Invoke", invoke_arn(call.region, match[1], call.method, call.path))]


def invoke_arn(region: str, api_id: str, method: str, path: str) -> str:
    """The resource of execute-api:Invoke for an API whose id is known otherwise."""
    return f"{arn_base('execute-api', region)}{api_id}/$default/{method}{path}"
