"""Bucket policies, with their conditions: moto takes a statement that denies what is not TLS for one that denies all.

The twin serves on this machine's loopback, without TLS; where a policy asks, that counts as secure transport. A
statement with any other condition is left out, as the twin does not enforce IAM, and the log says so.
"""

from __future__ import annotations

import functools
import json
import logging
from typing import Any

log = logging.getLogger(__name__)

_SECURE_TRANSPORT = "aws:securetransport"


def get_permission(self: Any, action: str, resource: str) -> Any:
    """What the bucket's policy says of `action` on `resource`: moto's PermissionResult."""
    from moto.iam.access_control import IAMPolicy, PermissionResult  # noqa: PLC0415 - the import is circular

    if self.policy is None:
        return PermissionResult.NEUTRAL
    statements = _applicable(bytes(self.policy))
    if not statements:
        return PermissionResult.NEUTRAL
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return IAMPolicy(document).is_action_permitted(action, resource)


@functools.lru_cache(maxsize=64)
def _applicable(policy: bytes) -> list[dict[str, Any]]:
    statements = json.loads(policy).get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    held = [statement for statement in statements if _holds(statement)]
    return [{key: value for key, value in statement.items() if key != "Condition"} for statement in held]


def _holds(statement: dict[str, Any]) -> bool:
    for operator, tests in statement.get("Condition", {}).items():
        for key, wanted in tests.items():
            if operator != "Bool" or key.lower() != _SECURE_TRANSPORT:
                log.warning("a bucket policy's condition %s %s is not evaluated by the twin", operator, key)
                return False
            values = wanted if isinstance(wanted, list) else [wanted]
            if "true" not in [str(value).lower() for value in values]:
                return False
    return True
