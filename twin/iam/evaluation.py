"""Decides whether a caller may do something, as AWS does for requests inside of one account.

Sources, under https://docs.aws.amazon.com/IAM/latest/UserGuide/: reference_policies_evaluation-logic.html,
troubleshoot_access-denied.html for the words. The twin has no permissions boundaries, session policies and policies of
organisations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from twin.iam import principals
from twin.iam.documents import Kind, Policy, Statement
from twin.iam.patterns import Context, Pattern
from twin.iam.principals import Match
from twin.iam.request import Check, Principal


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a check.

    reason:    of a denial in AWS's words, as in `message`; of an allowed call, who or what allows it.
    policy, statement: that decided; None when nothing allows the call, and for the administrator.
    action, resource:  the entries of the statement that matched, as written; empty where it has none (NotAction, …).
    """

    allowed: bool
    reason: str
    policy: Policy | None = None
    statement: Statement | None = None
    action: str = ""
    resource: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    policy: Policy
    statement: Statement
    action: str
    resource: str
    direct: bool

    def decision(self) -> Decision:
        allowed, kind = self.statement.effect == "Allow", self.policy.kind
        article = {Kind.IDENTITY: "an", Kind.RESOURCE: "a", Kind.TRUST: "the"}[kind]
        reason = f"{'allowed by' if allowed else 'with an explicit deny in'} {article} {kind.value}"
        return Decision(allowed, reason, self.policy, self.statement, self.action, self.resource)


def decide(
    principal: Principal, check: Check, identity: Sequence[Policy] = (), resource: Policy | None = None
) -> Decision:
    """Whether `principal` may do `check`.

    identity: the policies of the role whose session calls; not read for a service and for the administrator.
    resource: the policy of the resource, if it has one.

    An explicit deny comes first. Then a session needs an allow of an identity policy, or of the resource policy for its
    role, its session or everyone; one for its account delegates to the identity policies and allows nothing by itself.
    A service needs an allow of the resource policy. The administrator needs none.
    """
    of_role = identity if principal.role else ()
    found = _first(principal, check, (*of_role, resource) if resource is not None else of_role)
    if found is not None:
        return found.decision()
    if not principal.role and not principal.service:
        return Decision(True, "the account's administrator")
    return _denied(Kind.IDENTITY if principal.role else Kind.RESOURCE, check.action)


def may_assume(
    trust: Policy,
    caller: Principal | str,
    context: Context | None = None,
    *,
    role: str = "*",
    identity: Sequence[Policy] = (),
) -> Decision:
    """Whether `caller`, a principal or the name of a service, may take on the role that has the trust policy.

    context:  condition keys of the request, such as aws:sourcearn and aws:sourceaccount, in lower case.
    role:     ARN of the role. identity: policies of the caller's own role; they decide where the trust policy names the
              account only, and may deny in any case.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-service.html
    """
    principal = Principal(caller, service=caller) if isinstance(caller, str) else caller
    check = Check("sts:AssumeRole", role, context or {})
    own = _first(principal, check, identity if principal.role else ())
    trusted = _first(principal, check, (trust,), delegated=True)
    for found in (own, trusted):
        if found is not None and found.statement.effect == "Deny":
            return found.decision()
    if trusted is None:
        return _denied(Kind.TRUST, check.action)
    if not trusted.direct:
        return own.decision() if own is not None else _denied(Kind.IDENTITY, check.action)
    return trusted.decision()


def message(principal: Principal, check: Check, decision: Decision) -> str:
    """AWS's text for a denial. ValueError: the call is allowed."""
    if decision.allowed:
        raise ValueError(f"{check.action} is allowed to {principal.arn}: only a denial has a message")
    return (
        f"User: {principal.arn} is not authorized to perform: {check.action} "
        f"on resource: {check.resource} {decision.reason}"
    )


def _denied(kind: Kind, action: str) -> Decision:
    return Decision(False, f"because no {kind.value} allows the {action} action")


def _first(principal: Principal, check: Check, policies: Sequence[Policy], *, delegated: bool = False) -> _Found | None:
    """The first statement that denies, else the first that allows; delegated: also one that names the account only."""
    allowing: _Found | None = None
    for found in _matching(principal, check, policies):
        if found.statement.effect == "Deny":
            return found
        better = allowing is None or (found.direct and not allowing.direct)
        if better and (found.direct or delegated):
            allowing = found
    return allowing


def _matching(principal: Principal, check: Check, policies: Sequence[Policy]) -> Iterator[_Found]:
    action = check.action.lower()
    context: Mapping[str, tuple[str, ...]] = {**principals.context(principal), **check.context}
    for policy in policies:
        for statement in policy.statements:
            by_action = _entry(statement.actions, statement.not_actions, action, context)
            if by_action is None:
                continue
            by_resource = _entry(statement.resources, statement.not_resources, check.resource, context)
            if by_resource is None:
                continue
            match = _principal(statement, principal)
            if match is Match.NO or not all(condition.holds(context) for condition in statement.conditions):
                continue
            yield _Found(policy, statement, by_action, by_resource, match is Match.DIRECT)


def _entry(entries: tuple[Pattern, ...], excepted: tuple[Pattern, ...], value: str, context: Context) -> str | None:
    """The entry that matches; empty when the statement lists exceptions or nothing; None when it does not match."""
    for entry in entries:
        if entry.matches(value, context):
            return entry.text
    if entries or any(entry.matches(value, context) for entry in excepted):
        return None
    return ""


def _principal(statement: Statement, principal: Principal) -> Match:
    if statement.principals is not None:
        return statement.principals.match(principal)
    if statement.not_principals is not None and statement.not_principals.excepts(principal):
        return Match.NO
    return Match.DIRECT
