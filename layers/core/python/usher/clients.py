"""boto3's clients, each built once in an execution environment and not before it is needed."""

from __future__ import annotations

import functools
from typing import Any

import boto3


@functools.cache
def client(service: str) -> Any:
    """The client of a service, with the function's own credentials and region."""
    return boto3.client(service)  # type: ignore[call-overload]  # any service by name


@functools.cache
def dynamodb() -> Any:
    """DynamoDB with Python's own types instead of `{"S": …}`."""
    return boto3.resource("dynamodb")
