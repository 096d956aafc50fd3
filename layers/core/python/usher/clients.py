"""boto3 clients, each built on first use and once in an execution environment."""

from __future__ import annotations

import functools
from typing import Any

import boto3
from botocore.config import Config

#: Quotas are read before a run; where they cannot be reached, the run goes on without them and must not time out.
_QUOTAS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})


@functools.cache
def client(service: str) -> Any:
    """The client of an AWS service, with the function's credentials and region."""
    return boto3.client(service)  # type: ignore[call-overload]  # any service by name


@functools.cache
def dynamodb() -> Any:
    """The DynamoDB resource, which takes Python types instead of `{"S": …}`."""
    return boto3.resource("dynamodb")


@functools.cache
def service_quotas() -> Any:
    """The client of Service Quotas, which gives up soon."""
    return boto3.client("service-quotas", config=_QUOTAS)
