"""Roles for tests on the twin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from twin import context
from twin.iam import sessions

SERVICES = (sessions.LAMBDA, sessions.SAGEMAKER, sessions.STATES, sessions.FIREHOSE, sessions.EVENTS)

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def arn(name: str) -> str:
    """The ARN of a role."""
    return f"arn:aws:iam::{context.ACCOUNT}:role/{name}"


def administrator(name: str) -> str:
    """A role with every permission, for every service; its ARN."""
    return role(name, EVERYTHING)


def role(name: str, *statements: dict[str, Any], services: Sequence[str] = SERVICES) -> str:
    """A role with these statements, which these services may assume; its ARN. It replaces one of that name."""
    iam = context.client("iam")
    trusting = document(trust(services))
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting)
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trusting)
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=document(*statements))
    return arn(name)


def trust(services: Sequence[str] = SERVICES) -> dict[str, Any]:
    """The statement of a trust policy for services."""
    return {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}


def document(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
