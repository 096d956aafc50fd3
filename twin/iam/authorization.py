"""Authorizes what roles and services do: the policies' decision, its record, the error of a call that nothing allows.

Every call over HTTP comes by `twin.iam.server`; what a service does for a role without a call of its own (writing a
function's log, pulling an image, polling a queue) asks `check` where it happens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from twin import context
from twin.iam import evaluation, sessions
from twin.iam.keys import PolicyError
from twin.iam.record import RECORD
from twin.iam.request import Check, Principal
from twin.iam.resource_policies import policy_of

_log = logging.getLogger("usher.twin.iam")


class AccessDenied(Exception):
    """A call that no policy allows; the text is AWS's."""


def check(principal: Principal, checks: Iterable[Check]) -> None:
    """AccessDenied with AWS's text when one of the checks of a call is not allowed."""
    if principal is sessions.ADMINISTRATOR:
        return
    for asked in checks:
        full = Check(asked.action, asked.resource, {**_common(), **asked.context})
        try:
            identity = sessions.identity_policies(principal) if principal.role else ()
            decision = evaluation.decide(principal, full, identity, policy_of(full.resource))
        except PolicyError as error:
            raise _denied(principal, full, f"{full.action} on {full.resource} cannot be decided: {error}") from error
        if not decision.allowed:
            raise _denied(principal, full, evaluation.message(principal, full, decision))
        RECORD.allowed(principal, full, decision)


def check_role(role_arn: str, service: str, session: str, checks: Iterable[Check]) -> None:
    """The same for what `service` does with a role; AccessDenied also when it cannot assume the role."""
    check(role_session(role_arn, service, session), checks)


def role_session(role_arn: str, service: str, session: str) -> Principal:
    """The session of a role that a service acts with; AccessDenied when it cannot assume the role."""
    try:
        credentials = sessions.assume(role_arn, service, session)
    except sessions.CannotAssume as error:
        _log.error("%s", error)  # not recorded as a denial: a stack that is deleted loses its roles
        raise AccessDenied(str(error)) from error
    return sessions.principal_of(credentials.access_key) or Principal("")


def check_service(service: str, source_arn: str, action: str, resource: str) -> None:
    """What a service does in its own name for a resource, a rule's delivery to a queue: the target's policy decides."""
    keys = {"aws:sourcearn": (source_arn,), "aws:sourceaccount": (context.ACCOUNT,)}
    check(Principal(service, service=service), [Check(action, resource, keys)])


def _denied(principal: Principal, asked: Check, message: str) -> AccessDenied:
    """The error of a denial, which is recorded and logged."""
    RECORD.denied(principal, asked, message)
    _log.error("AccessDenied: %s", message)
    return AccessDenied(message)


def _common() -> Mapping[str, tuple[str, ...]]:
    """Keys of every request; the evaluation adds those of the principal. The loopback interface stands for TLS."""
    return {
        "aws:securetransport": ("true",),
        "aws:requestedregion": (context.current().region,),
        "aws:resourceaccount": (context.ACCOUNT,),
    }
