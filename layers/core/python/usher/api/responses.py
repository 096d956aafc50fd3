"""Answers and problems as API Gateway takes them from a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from usher.api.problems import MEDIA_TYPE, Problem
from usher.serving import request
from usher.serving.service import Service

#: Kind of a 503 → how long a client should wait before it comes again, in seconds.
RETRY_SECONDS = {"no-answer-yet": 30, "not-kept": 2}


def respond(
    event: Mapping[str, Any], service: Callable[[], Service], failed: Callable[[Exception], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The response to an event, and its body; whatever goes wrong becomes a problem document, never a trace.

    service: makes it when the request has been understood. failed: is told of defects.
    """
    try:
        body = service().answer(request.read(event))
        return response(200, "application/json", body), body
    except Problem as problem:
        return problem_response(problem)
    except Exception as error:  # noqa: BLE001 - a caller gets one sentence, the log gets the trace
        failed(error)
        return problem_response(Problem("internal", "Usher failed on this request; its log says why"))


def problem_response(problem: Problem) -> tuple[dict[str, Any], dict[str, Any]]:
    """The response that a problem document is, and the document."""
    body = problem.document()
    more = {"retry-after": str(RETRY_SECONDS[problem.kind])} if problem.kind in RETRY_SECONDS else {}
    return response(problem.status, MEDIA_TYPE, body, more), body


def response(
    status: int, media_type: str, body: Mapping[str, Any], more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A response as API Gateway takes it; no cache may keep it."""
    headers = {"content-type": media_type, "cache-control": "private, no-store", **(more or {})}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body, separators=(",", ":"), allow_nan=False)}
