"""Resource policies, where a service delivers under its own name: EventBridge into a queue, a topic or a function.

A missing statement is what breaks the first deployment on AWS, so it has to break here. Only what these policies use is
judged: principals that are services or everybody, and conditions on the source and the transport. Roles are not.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twin import context

_ACTIONS = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}


class NotPermitted(Exception):
    """A target's policy does not let a service in; one line that says what to add."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A service on behalf of something. principal: `events.amazonaws.com`; source_arn: the rule or the alarm."""

    principal: str
    source_arn: str


def check(arn: str, caller: Caller) -> None:
    """Raise NotPermitted if the policy of what `arn` names does not let `caller` deliver. Other services have none."""
    service = arn.split(":")[2]
    if service not in _ACTIONS:
        return
    statements = _statements(service, arn)
    if statements is not None and not permitted(statements, _ACTIONS[service], arn, caller):
        raise NotPermitted(
            f"the policy of {arn} does not let {caller.principal} do {_ACTIONS[service]} for {caller.source_arn}: "
            "add a statement that does"
        )


def permitted(statements: list[dict[str, Any]], action: str, resource: str, caller: Caller) -> bool:
    """Whether some statement allows it, and none denies it."""
    effects = {each.get("Effect", "Allow") for each in statements if _applies(each, action, resource, caller)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Mapping[str, Any], action: str, resource: str, caller: Caller) -> bool:
    return (
        _is_for(statement.get("Principal"), caller.principal)
        and _fits(statement.get("Action", "*"), action)
        and _fits(statement.get("Resource", "*"), resource.removesuffix(":$LATEST"))
        and _holds(statement.get("Condition") or {}, caller)
    )


def _is_for(principal: Any, service: str) -> bool:
    if not isinstance(principal, Mapping):
        return bool(principal == "*")
    return service in _listed(principal.get("Service", [])) or "*" in _listed(principal.get("AWS", []))


def _fits(patterns: Any, value: str) -> bool:
    return any(
        fnmatch.fnmatchcase(value.lower(), str(each).lower().removesuffix(":$latest")) for each in _listed(patterns)
    )


def _holds(conditions: Mapping[str, Mapping[str, Any]], caller: Caller) -> bool:
    """Conditions on keys that are not known here count as fulfilled."""
    known = {
        "aws:sourcearn": caller.source_arn,
        "aws:sourceaccount": context.ACCOUNT,
        "aws:securetransport": "true",
        "aws:sourceowner": "",  # set for requests of accounts, not of services
    }
    return all(
        _compare(operator, _listed(wanted), known[key.lower()])
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
        if key.lower() in known
    )


def _compare(operator: str, wanted: list[Any], value: str) -> bool:
    texts = [str(each).lower() if operator == "Bool" else str(each) for each in wanted]
    if operator.removesuffix("IfExists") in ("ArnLike", "ArnEquals", "StringLike"):
        return any(fnmatch.fnmatchcase(value, each) for each in texts)
    if operator.removesuffix("IfExists").startswith(("StringNot", "ArnNot")):
        return not any(fnmatch.fnmatchcase(value, each) for each in texts)
    return value in texts


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set) else [value]


def _statements(service: str, arn: str) -> list[dict[str, Any]] | None:
    """The policy of a queue, topic or function; None when it does not exist, which the delivery itself will say."""
    from moto.awslambda.exceptions import LambdaClientError  # noqa: PLC0415 - moto is heavy
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415
    from moto.sns.models import sns_backends  # noqa: PLC0415
    from moto.sqs.models import sqs_backends  # noqa: PLC0415

    region = context.current().region
    if service == "lambda":
        try:
            return list(lambda_backends[context.ACCOUNT][region].get_function(arn).policy.statements)
        except LambdaClientError:
            return None
    if service == "sqs":
        queue = sqs_backends[context.ACCOUNT][region].queues.get(arn.split(":")[5])
        return None if queue is None else _parsed(queue.policy)
    topic = sns_backends[context.ACCOUNT][region].topics.get(arn)
    return None if topic is None else _parsed(topic.policy)


def _parsed(policy: Any) -> list[dict[str, Any]]:
    document = json.loads(policy) if isinstance(policy, str) and policy else policy
    return list(_listed((document or {}).get("Statement", [])))
