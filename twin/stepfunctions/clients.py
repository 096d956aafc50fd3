"""The interpreter's boto3: clients that are kept, that check their parameters, and whose answers are JSON."""

from __future__ import annotations

import functools
import threading
from typing import Any

import boto3
from botocore.config import Config
from botocore.response import StreamingBody

from twin import context
from twin.stepfunctions.queries import plain

_lock = threading.Lock()
#: A function may run for 15 minutes.
_READ_SECONDS = 1000


def client(*, service_name: str, region_name: str, **_: Any) -> Any:
    """The client for a service; the twin's endpoint is read each time, as tests enter several twins."""
    with _lock:
        return _client(context.current().endpoint, service_name, region_name)


@functools.cache
def _client(endpoint: str, service: str, region: str) -> Any:
    built = boto3.client(
        service,  # type: ignore[call-overload]  # any service by name
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=context.ACCESS_KEY,
        aws_secret_access_key=context.SECRET_KEY,
        config=Config(
            retries={"total_max_attempts": 1},
            read_timeout=_READ_SECONDS,
            max_pool_connections=50,
            inject_host_prefix=False,
        ),
    )
    built.meta.events.register("after-call", _make_json)
    return built


class Boto3:
    """What the interpreter takes for the module boto3."""

    client = staticmethod(client)


def _make_json(parsed: dict[str, Any], **_: Any) -> None:
    """Times become ISO 8601, as Step Functions shows them; streams stay, since a Distributed Map reads them."""
    for name, value in parsed.items():
        if not isinstance(value, bytes | StreamingBody) and not hasattr(value, "read"):
            parsed[name] = plain(value)
