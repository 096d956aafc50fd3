"""Responses to CloudFormation custom resource requests: a PUT to the URL in the request."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

#: CloudFormation refuses longer responses, and shows about this much of a reason.
_REASON_MAX = 1000
_TIMEOUT_SECONDS = 20
_ATTEMPTS = 3
#: Between attempts that were denied. IAM takes a while to apply a new role's policies everywhere.
_DENIED_WAITS_SECONDS = (5, 10, 20, 30)

_Result = TypeVar("_Result")


def patiently(work: Callable[[], _Result]) -> _Result:
    """Do `work`, again after a wait when AWS denies it: the role may be seconds old. Any other error is raised."""
    for seconds in _DENIED_WAITS_SECONDS:
        try:
            return work()
        except Exception as error:
            if not is_denied(error):
                raise
        time.sleep(seconds)
    return work()


def is_denied(error: Exception) -> bool:
    """Whether AWS denied a call for lack of a permission in IAM; Arrow has no error code, only its text."""
    return any(code in str(error) for code in ("AccessDenied", "ACCESS_DENIED")) and "Lake Formation" not in str(error)


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
