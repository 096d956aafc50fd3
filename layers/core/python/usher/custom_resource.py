"""Responses to CloudFormation custom resource requests: a PUT to the URL in the request."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

#: CloudFormation refuses longer responses, and shows about this much of a reason.
_REASON_MAX = 1000
_TIMEOUT_SECONDS = 20
_ATTEMPTS = 3


def answer(
    event: Mapping[str, Any], log_stream: str, *, data: Mapping[str, str] | None = None, reason: str = ""
) -> None:
    """Send SUCCESS with `data`, or FAILED with `reason`. The physical id never changes, so an update replaces nothing.

    OSError when three attempts to send it failed.
    """
    fallback = f"{event['LogicalResourceId']}-{event['StackId'].rpartition('/')[2]}"
    body = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": (reason or "done")[:_REASON_MAX] + f" (log stream {log_stream})",
        "PhysicalResourceId": event.get("PhysicalResourceId") or fallback,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": False,
        "Data": dict(data or {}),
    }
    _put(event["ResponseURL"], json.dumps(body).encode())


def _put(url: str, body: bytes) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"ResponseURL {url[:40]!r} is not an http(s) address")
    # The URL is signed without a content type: sending one would break the signature.
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310 - checked above
                return
        except OSError:
            if attempt == _ATTEMPTS:
                raise
