"""Roles for tests on the twin."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import policies
from twin import context
from twin.cloudformation import template
from twin.iam import sessions
from twin.iam.documents import Kind

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


def template_role(owner: str, names: Mapping[str, str]) -> str:
    """A role of template.yaml, with a name as CloudFormation gives it; its ARN.

    names: text of the resolved policy → text with the test's names, `:statetable` → `:table/state`.
    """
    found = policies.documents(template.parse((Path(__file__).parents[1] / "template.yaml").read_text()))
    (policy,) = [one for one in found if one.owner == owner and one.kind is Kind.IDENTITY]
    text = json.dumps(policy.content)
    for old, new in names.items():
        assert old in text, f"{owner} has no {old}"
        text = text.replace(old, new)
    return role(f"usher-{owner}-TESTTESTTEST", *json.loads(text)["Statement"])


def trust(services: Sequence[str] = SERVICES) -> dict[str, Any]:
    """The statement of a trust policy for services."""
    return {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}


def document(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
