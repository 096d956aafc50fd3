"""The errors of SageMaker's API and of its jobs.

Exception
├── Refused        an API call that AWS would refuse: its code and its message
└── JobFailed      the end of a job or of a deployment: what AWS puts into FailureReason
"""

from __future__ import annotations


class Refused(Exception):
    """An API call that is refused with `code`, one of SageMaker's error codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JobFailed(Exception):
    """FailureReason, as AWS words it: `ClientError: …` is the user's fault, `AlgorithmError: …` the program's."""


def invalid(message: str) -> Refused:
    """The request is wrong, or names something that does not exist."""
    return Refused("ValidationException", message)


def in_use(message: str) -> Refused:
    """The name is taken, or the resource is busy."""
    return Refused("ResourceInUse", message)


def not_found(message: str) -> Refused:
    """The resource does not exist."""
    return Refused("ResourceNotFound", message)


def unsupported(what: str) -> Refused:
    """AWS supports it, the twin does not."""
    return invalid(f"The twin does not support {what}.")
