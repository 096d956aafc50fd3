"""What comes back when an endpoint is called: an answer, or one of the errors of SageMaker's runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: The largest request and the largest answer.
BODY_BYTES_MAX = 6 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a container answered. seconds: how long it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class CallFailed(Exception):
    """A call that the runtime answers with an error.

    code:   ValidationError, ServiceUnavailable or ModelError.
    status: its HTTP status.
    """

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, status, message


class NoAnswer(Exception):
    """The container did not answer properly; in words, as the ModelError's message."""


def wrong(message: str) -> CallFailed:
    """The caller's fault."""
    return CallFailed("ValidationError", 400, message)


def unavailable(message: str) -> CallFailed:
    """Nothing is there to answer right now; a retry is of use."""
    return CallFailed("ServiceUnavailable", 503, message)
