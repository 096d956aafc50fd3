"""Evaluates resource policies for services that deliver in their own name: EventBridge to queues, an API to functions.

A missing statement breaks the first deployment on AWS, so it has to fail here too. Only what these policies use is
evaluated: principals that are services or `*`, and conditions on the source and the transport. Roles are not.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twin import context

_ACTIONS = {"sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}


class NotPermitted(Exception):
    """The policy of a target does not allow a delivery; the message says what to add."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A service that acts for a resource. principal: `events.amazonaws.com`; source_arn: the rule or the API."""

    principal: str
    source_arn: str


def check(arn: str, caller: Caller) -> None:
    """Raise NotPermitted if the policy of a queue or function does not allow `caller` to deliver."""
    service = arn.split(":")[2]
    if service not in _ACTIONS:
        return
    statements = _statements(service, arn)
    if statements is not None and not permitted(statements, _ACTIONS[service], arn, caller):
        raise NotPermitted(
            f"the policy of {arn} does not allow {_ACTIONS[service]} to {caller.principal} for {caller.source_arn}: "
            "add a statement that does"
        )


def permitted(statements: list[dict[str, Any]], action: str, resource: str, caller: Caller) -> bool:
    """Whether some statement allows it, and none denies it."""
    effects = {each.get("Effect", "Allow") for each in statements if _applies(each, action, resource, caller)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Mapping[str, Any], action: str, resource: str, caller: Caller) -> bool:
    return (
        _is_for(statement.get("Principal"), caller.principal)
        and _matches(statement.get("Action", "*"), action)
        and _matches(statement.get("Resource", "*"), resource)
        and _holds(statement.get("Condition") or {}, caller)
    )


def _is_for(principal: Any, service: str) -> bool:
    if not isinstance(principal, Mapping):
        return bool(principal == "*")
    return service in _listed(principal.get("Service", [])) or "*" in _listed(principal.get("AWS", []))


def _matches(patterns: Any, value: str) -> bool:
    return any(fnmatch.fnmatchcase(value.lower(), str(each).lower()) for each in _listed(patterns))


def _holds(conditions: Mapping[str, Mapping[str, Any]], caller: Caller) -> bool:
    """Conditions on other keys than these are treated as fulfilled."""
    known = {
        "aws:sourcearn": caller.source_arn,
        "aws:sourceaccount": context.ACCOUNT,
        "aws:securetransport": "true",
    }
    return all(
        _compare(operator, _listed(wanted), known[key.lower()])
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
        if key.lower() in known
    )


def _compare(operator: str, wanted: list[Any], value: str) -> bool:
    texts = [str(each).lower() if operator == "Bool" else str(each) for each in wanted]
    if operator in ("ArnLike", "ArnEquals", "StringLike"):
        return any(fnmatch.fnmatchcase(value, each) for each in texts)
    if operator.startswith(("StringNot", "ArnNot")):
        return not any(fnmatch.fnmatchcase(value, each) for each in texts)
    return value in texts


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set) else [value]


def _statements(service: str, arn: str) -> list[dict[str, Any]] | None:
    """The policy of a queue or function; None when it does not exist, which the delivery itself reports."""
    from moto.awslambda.exceptions import LambdaClientError  # noqa: PLC0415 - moto is heavy
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415
    from moto.sqs.models import sqs_backends  # noqa: PLC0415

    region = context.current().region
    if service == "lambda":
        try:
            return list(lambda_backends[context.ACCOUNT][region].get_function(arn).policy.statements)
        except LambdaClientError:
            return None
    queue = sqs_backends[context.ACCOUNT][region].queues.get(arn.split(":")[5])
    if queue is None:
        return None
    policy = json.loads(queue.policy) if isinstance(queue.policy, str) and queue.policy else queue.policy
    return _listed((policy or {}).get("Statement", []))
