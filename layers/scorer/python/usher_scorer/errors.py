"""Errors of loading a bundle and of answering requests.

ScorerError
├── BundleError      the files: damaged, foreign, newer; no retry helps, another bundle does
└── RequestError     the request: the caller's fault, answered with 400, a code and a message
"""

from __future__ import annotations


class ScorerError(Exception):
    """Any error that the scorer raises itself."""


class BundleError(ScorerError):
    """A bundle that is damaged, incomplete or unknown; the message names the file and what to do."""


class RequestError(ScorerError):
    """A request that cannot be answered; `code` is stable, the message says what to send instead."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
