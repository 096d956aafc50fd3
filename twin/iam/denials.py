"""The answer to a call that is not allowed, in the form of each service's protocol, so that SDKs raise its error.

Source: the error bodies of the AWS protocols (https://smithy.io/2.0/aws/protocols/), the codes of each service's
"Common errors" page.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from xml.sax.saxutils import escape

from twin.iam.request import HttpCall

#: Services whose SDKs know the error as AccessDenied although they send JSON: their older protocol called it so.
_QUERY_COMPATIBLE = frozenset({"sqs", "monitoring"})
_REST_JSON = frozenset({"lambda", "apigateway", "execute-api"})

Headers = list[tuple[str, str]]
#: HTTP status line, headers and body.
Answer = tuple[str, Headers, bytes]


def denied(call: HttpCall, message: str) -> Answer:
    """AccessDenied."""
    return answer(call, "AccessDenied", message)


def answer(call: HttpCall, code: str, message: str) -> Answer:
    """An error of another code of this kind, `UnrecognizedClient`. JSON protocols append `Exception` to the code."""
    request_id = str(uuid.uuid4())
    headers: Headers = [("x-amzn-RequestId", request_id)]
    exception = code if code.endswith("Exception") else f"{code}Exception"
    if call.service == "s3":
        body = "" if call.method == "HEAD" else _xml(("Error",), code, message, request_id)
        return "403 Forbidden", [*headers, ("Content-Type", "application/xml")], body.encode()
    if call.headers.get("x-amz-target"):
        if call.service in _QUERY_COMPATIBLE:
            headers.append(("x-amzn-query-error", f"{code};Sender"))
        body = json.dumps({"__type": exception, "message": message, "Message": message})
        return "400 Bad Request", [*headers, ("Content-Type", "application/x-amz-json-1.1")], body.encode()
    if call.service in _REST_JSON or call.path.endswith("/invocations"):
        headers += [("x-amzn-ErrorType", exception), ("Content-Type", "application/json")]
        return "403 Forbidden", headers, json.dumps({"Message": message, "message": message}).encode()
    body = _xml(("ErrorResponse", "Error"), code, message, request_id)
    return "403 Forbidden", [*headers, ("Content-Type", "text/xml")], body.encode()


def _xml(around: Sequence[str], code: str, message: str, request_id: str) -> str:
    opened = "".join(f"<{name}>" for name in around)
    closed = "".join(f"</{name}>" for name in reversed(around))
    kind = "<Type>Sender</Type>" if len(around) > 1 else ""
    inner = f"{kind}<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if len(around) > 1:
        return f"{opened}{inner}</{around[-1]}><RequestId>{request_id}</RequestId></{around[0]}>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{opened}{inner}<RequestId>{request_id}</RequestId>{closed}'
