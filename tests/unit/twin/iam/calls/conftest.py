"""Requests as real clients of botocore send them, without a server."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ClientError

from twin.iam.request import HttpCall

REGION = "eu-west-1"
ENDPOINT = "http://127.0.0.1:5000"


class Sends(Protocol):
    """`sends("s3", "get_object", Bucket=…)` → the request that the client sends for it."""

    def __call__(self, service: str, operation: str, /, **parameters: Any) -> HttpCall: ...


class Sent(Exception):
    """Ends a call when its request is there."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        self.request = request


@functools.cache
def client(service: str, style: str = "auto", endpoint: str | None = ENDPOINT) -> Any:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": style}, inject_host_prefix=False)
    made = boto3.client(
        service,  # type: ignore[call-overload]  # any service by name
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=config,
    )

    made.meta.events.register("before-send", stop)
    return made


def stop(request: AWSPreparedRequest, **_: Any) -> None:
    """For a client's event before-send."""
    raise Sent(request)


def request_of(call: Callable[[], Any]) -> HttpCall:
    """The request that `call` sends through one of these clients."""
    try:
        call()
    except Sent as sent:
        return http_call(sent.request)
    except ClientError as error:
        raise AssertionError("no request was sent") from error
    raise AssertionError("no request was sent")


def http_call(request: AWSPreparedRequest) -> HttpCall:
    """A prepared request as the twin's server receives it; the service is in the signature's scope."""
    url = urlsplit(request.url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    headers.setdefault("host", url.netloc)
    body = request.body if request.body is not None else b""
    if hasattr(body, "read"):
        body = body.read()
    scope = headers["authorization"].partition("Credential=")[2].partition(",")[0].split("/")
    return HttpCall(
        service=scope[3],
        region=scope[2],
        method=str(request.method),
        path=url.path,
        query=url.query,
        headers=headers,
        body=body.encode() if isinstance(body, str) else bytes(body),
    )


@pytest.fixture(scope="session")
def sends() -> Sends:
    def send(service: str, operation: str, /, **parameters: Any) -> HttpCall:
        return request_of(lambda: getattr(client(service), operation)(**parameters))

    return send
