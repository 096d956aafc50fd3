"""boto3 clients, each built on first use and once in an execution environment."""

from __future__ import annotations

import functools
from typing import Any

import boto3


@functools.cache
def client(service: str) -> Any:
    """The client of an AWS service, with the function's credentials and region."""
    return boto3.client(service)  # type: ignore[call-overload]  # any service by name


@functools.cache
def dynamodb() -> Any:
    """The DynamoDB resource, which takes Python types instead of `{"S": …}`."""
    return boto3.resource("dynamodb")
