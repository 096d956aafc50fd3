"""Sessions of roles: a service assumes a role if its trust policy allows that, and calls with the session's access key.

Sessions do not expire, and signatures are not verified: the access key says who calls.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twin import context
from twin.iam import documents, evaluation
from twin.iam.documents import Policy
from twin.iam.request import Principal


class CannotAssume(Exception):
    """A service may not assume a role; the message names both, and what to add."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a program signs its calls with."""

    access_key: str
    secret_key: str
    token: str

    def client(self, service: str) -> Any:
        """A boto3 client on the running twin that calls as this session."""
        return context.client(service, self.access_key, self.secret_key, self.token)

    def environment(self) -> dict[str, str]:
        """The variables that boto3 and the AWS CLI read."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": self.token,
        }


ADMINISTRATOR = Principal(f"arn:aws:iam::{context.ACCOUNT}:root")
"""Who calls with the twin's own access key: the operator, whose permissions the twin does not check."""

LAMBDA, SAGEMAKER, STATES, FIREHOSE, EVENTS = (
    f"{name}.amazonaws.com" for name in ("lambda", "sagemaker", "states", "firehose", "events")
)
"""The services that act with roles."""

_principals: dict[str, Principal] = {context.ACCESS_KEY: ADMINISTRATOR}
_opening = threading.Lock()

#: Compiled once for each text.
_identity_policy = functools.lru_cache(1024)(documents.identity_policy)
_trust_policy = functools.lru_cache(256)(documents.trust_policy)


def principal_of(access_key: str) -> Principal | None:
    """Whose access key it is; None for one that the twin has not given out."""
    return _principals.get(access_key)


def assume(role_arn: str, service: str, name: str, source: Mapping[str, str] | None = None) -> Credentials:
    """Credentials of a session of `role_arn` for a service, `lambda.amazonaws.com`; the same each time.

    name: of the session, in the ARN that AWS's messages show. source: `aws:SourceArn` of the resource that the service
    acts for. CannotAssume when the role does not exist, or its trust policy does not allow it.
    """
    role = find_role(role_arn)
    if role is None:
        raise CannotAssume(f"the role {role_arn} does not exist")
    keys = {"aws:sourceaccount": (context.ACCOUNT,)} | {key.lower(): (value,) for key, value in (source or {}).items()}
    trust = _trust_policy(role.name, role.assume_role_policy_document)
    if not evaluation.may_assume(trust, service, keys, role=role_arn).allowed:
        raise CannotAssume(
            f"the trust policy of {role_arn} does not allow sts:AssumeRole to {service}: add a statement that does"
        )
    session = f"arn:aws:sts::{context.ACCOUNT}:assumed-role/{role.name}/{name}"
    digest = hashlib.sha256(session.encode()).hexdigest().upper()
    credentials = Credentials(f"ASIA{digest[:16]}", digest[16:56].lower(), digest[56:])
    with _opening:
        _principals[credentials.access_key] = Principal(session, role=role_arn)
    return credentials


def find_role(role_arn: str) -> Any:
    """moto's role; None when it does not exist."""
    from moto.iam.models import iam_backends  # noqa: PLC0415 - moto is heavy

    name = role_arn.rpartition("/")[2]
    found = [role for role in iam_backends[context.ACCOUNT]["aws"].roles.values() if role.name == name]
    return found[0] if found and found[0].arn == role_arn else None


def identity_policies(principal: Principal) -> tuple[Policy, ...]:
    """The inline and the managed policies of the principal's role; none when it was deleted."""
    role = find_role(principal.role)
    if role is None:
        return ()
    inline = [_identity_policy(name, text) for name, text in role.policies.items()]
    managed = [_identity_policy(one.name, one.document) for one in role.managed_policies.values()]
    return (*inline, *managed)
