"""Responses as API Gateway takes them from a function: JSON bodies and problem documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from usher.api.problems import MEDIA_TYPE, Problem

#: Kind of a 503 → the Retry-After header, in seconds.
RETRY_SECONDS = {"no-answer-yet": 30, "not-kept": 2}


def respond(
    answer: Callable[[], Mapping[str, Any]], on_defect: Callable[[Exception], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The response with what `answer` returns, and its body; any error becomes a problem document, never a trace.

    answer: the body of the 200; may raise Problem. on_defect: called with any other exception.
    """
    try:
        body = dict(answer())
        return response(200, "application/json", body), body
    except Problem as problem:
        return problem_response(problem)
    except Exception as error:  # noqa: BLE001 - the caller gets one sentence, the log gets the trace
        on_defect(error)
        return problem_response(internal_error())


def internal_error() -> Problem:
    """The problem that a caller sees when Usher itself failed."""
    return Problem("internal", "Usher failed on this request: look into the function's log")


def problem_response(problem: Problem) -> tuple[dict[str, Any], dict[str, Any]]:
    """The response of a problem document, and the document."""
    body = problem.document()
    headers = {"retry-after": str(RETRY_SECONDS[problem.kind])} if problem.kind in RETRY_SECONDS else {}
    return response(problem.status, MEDIA_TYPE, body, headers), body


def response(
    status: int, media_type: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A response in API Gateway's form; no cache may store it."""
    fields = {"content-type": media_type, "cache-control": "private, no-store", **(headers or {})}
    return {"statusCode": status, "headers": fields, "body": json.dumps(body, separators=(",", ":"), allow_nan=False)}
