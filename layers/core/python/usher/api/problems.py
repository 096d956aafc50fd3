"""What the HTTP API says when it has no answer: problem documents (RFC 9457) that name the parameter."""

from __future__ import annotations

from typing import Any

MEDIA_TYPE = "application/problem+json"

#: Kind of problem → its HTTP status and title. Its type is `urn:usher:problem:<kind>`.
KINDS = {
    "bad-parameter": (400, "A parameter cannot be understood"),
    "missing-parameter": (400, "A parameter is missing"),
    "unknown-parameter": (400, "A parameter is not known"),
    "bad-body": (400, "The body cannot be understood"),
    "unknown-genre": (400, "No item has this genre"),
    "unknown-item": (404, "No item has this id"),
    "not-found": (404, "There is no such page"),
    "method-not-allowed": (405, "The page does not take this method"),
    "event-id-taken": (409, "The event id is that of another event"),
    "too-large": (413, "The request is too large"),
    "nothing-accepted": (422, "Every entry was refused"),
    "internal": (500, "Usher failed on this request"),
    "no-answer-yet": (503, "Nothing can answer yet"),
    "not-kept": (503, "Not all of it could be kept"),
}


class Problem(Exception):
    """A request that gets no answer; `detail` says what is wrong with it and what to send instead.

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
