"""The body of a payload 2.0 event, decoded: bounded, and JSON as the standard has it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from usher.api.problems import Problem


def read_json(event: Mapping[str, Any], max_bytes: int) -> Any:
    """The JSON value of an event's body; Problem when it has more than `max_bytes`, or is none."""
    data = _bytes(event)
    if len(data) > max_bytes:
        raise Problem("too-large", f"the body has {len(data)} bytes: {max_bytes} are allowed")
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Problem("bad-body", f"the body is not JSON: {str(error)[:100]}") from None


def _bytes(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem("bad-body", "the body is not what its encoding says") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
