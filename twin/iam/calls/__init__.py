"""From a signed HTTP request to what AWS asks its policies: which actions, on which resources, in which context.

`checks_of` gives every check of a call; all of them must be allowed. An operation that no table has is an UnknownCall,
never no checks. Only sts:GetCallerIdentity needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twin.iam.calls import (
    accounts,
    apis,
    athena,
    awslambda,
    bodies,
    cloudwatch,
    containers,
    dynamodb,
    events,
    firehose,
    glue,
    logs,
    s3,
    sagemaker,
    secretsmanager,
    sqs,
    states,
)
from twin.iam.calls.tables import Operation, Table, UnknownCall
from twin.iam.calls.templates import MalformedCall, Members
from twin.iam.request import Check, HttpCall

__all__ = ["CONTEXT_KEYS", "TABLES", "MalformedCall", "UnknownCall", "checks_of", "needs_body", "operation_of"]

TABLES: Mapping[str, Table] = {
    table.service: table
    for table in (
        accounts.CLOUDFORMATION,
        accounts.IAM,
        accounts.LAKE_FORMATION,
        accounts.SERVICE_QUOTAS,
        accounts.SNS,
        accounts.STS,
        athena.TABLE,
        awslambda.TABLE,
        cloudwatch.TABLE,
        containers.CODEBUILD,
        containers.ECR,
        dynamodb.TABLE,
        events.TABLE,
        firehose.TABLE,
        glue.TABLE,
        logs.TABLE,
        sagemaker.TABLE,
        secretsmanager.TABLE,
        sqs.TABLE,
        states.TABLE,
    )
}
"""Signing name → the service's table; S3 and API Gateway have none, see `s3` and `apis`."""

CONTEXT_KEYS = frozenset(
    {"aws:TagKeys", "aws:RequestTag/${TagKey}", *s3.CONTEXT_KEYS}
    | {key for t in TABLES.values() for o in t.operations.values() for key in o.keys}
    | {key for t in TABLES.values() for o in t.operations.values() for n in o.needs for key, _ in n.context}
)
"""The condition keys that checks carry, in AWS's spelling. A policy that asks for another one must be refused: its
condition would compare nothing, and `ForAllValues` would allow."""

_ROUTERS = {table.service: bodies.Router(table) for table in TABLES.values()}
#: The services without a table.
_OTHERS = {"apigateway": apis.managed, "execute-api": apis.invoked}


def operation_of(call: HttpCall) -> str:
    """`dynamodb:GetItem`: the prefix of the service's actions, and the API's name of the operation.

    Raises UnknownCall for an operation that the tables do not have.
    """
    if call.service == "s3":
        return f"s3:{s3.operation_of(call)}"
    if call.service in _OTHERS:
        return f"{call.service}:{call.method}"
    table, operation, _ = _find(call)
    return f"{table.prefix}:{operation.name}"


def checks_of(call: HttpCall) -> list[Check]:
    """What AWS checks before it carries a call out; every check must be allowed.

    Raises UnknownCall for an operation that the tables do not have, and MalformedCall for a request that lacks the
    members that its permissions depend on; AWS refuses such a request with a validation error of the service.
    """
    if call.service == "s3":
        return s3.checks_of(call)
    if call.service in _OTHERS:
        return _OTHERS[call.service](call)
    table, operation, members = _find(call)
    return table.checks(operation, members(), call.region)


def needs_body(call: HttpCall) -> bool:
    """Whether `checks_of` reads the body: False for S3's objects and for the input of functions and endpoints."""
    if call.service == "s3":
        return s3.needs_body(call)
    return call.service not in _OTHERS and not call.path.endswith(("/invocations", "-invocations", "-response-stream"))


def _find(call: HttpCall) -> tuple[Table, Operation, Callable[[], Members]]:
    table = TABLES.get(call.service)
    if table is None:
        raise UnknownCall(
            f"the twin does not know the permissions of the service {call.service}: add a table to twin/iam/calls"
        )
    if name := bodies.target(call):
        operation = _named(table, name)
        return table, operation, lambda: bodies.json_members(operation, call.body, call.headers)
    bodies.refuse_cbor(call)
    if found := _ROUTERS[call.service].find(call):
        return table, *found
    if call.headers.get("content-type", "").startswith(bodies.FORM) or "Action=" in call.query:
        name, members = bodies.form_members(call)
        return table, _named(table, name), lambda: members
    raise UnknownCall(_unknown(table, f"{call.method} {call.path[:80]}"))


def _named(table: Table, name: str) -> Operation:
    operation = table.operations.get(name)
    if operation is None:
        raise UnknownCall(_unknown(table, name))
    return operation


def _unknown(table: Table, what: str) -> str:
    where = f"twin/iam/calls/{table.file}.py"
    return f"the twin does not know which permissions {table.prefix}:{what} needs: add it to {where}"
