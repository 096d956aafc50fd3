"""Problem documents (RFC 9457): the errors of the HTTP API, which name the parameter at fault."""

from __future__ import annotations

from typing import Any

MEDIA_TYPE = "application/problem+json"

#: Kind of problem → its HTTP status and title. Its type is `urn:usher:problem:<kind>`.
KINDS = {
    "bad-parameter": (400, "Bad parameter"),
    "missing-parameter": (400, "Missing parameter"),
    "unknown-parameter": (400, "Unknown parameter"),
    "bad-body": (400, "Bad request body"),
    "unknown-genre": (400, "No item has this genre"),
    "unknown-item": (404, "No item has this id"),
    "not-found": (404, "Not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "event-id-taken": (409, "The event id was used for another event"),
    "too-large": (413, "Request too large"),
    "nothing-accepted": (422, "Every entry was refused"),
    "internal": (500, "Internal error"),
    "no-answer-yet": (503, "No model can answer yet"),
    "not-kept": (503, "Not every event could be stored"),
}


class Problem(Exception):
    """A request that is refused or cannot be answered; `detail` says what is wrong and what to do.

    kind: one of KINDS. parameter: the query parameter or the body's field that is at fault, if one is.
    """

    def __init__(self, kind: str, detail: str, parameter: str = "") -> None:
        super().__init__(detail)
        self.kind, self.detail, self.parameter = kind, detail, parameter

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind][0]

    def document(self) -> dict[str, Any]:
        """The body."""
        body: dict[str, Any] = {
            "type": f"urn:usher:problem:{self.kind}",
            "title": KINDS[self.kind][1],
            "status": self.status,
            "detail": self.detail,
        }
        return {**body, "parameter": self.parameter} if self.parameter else body
