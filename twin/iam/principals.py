"""Compiles the Principal element of a policy, and matches callers against it.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin.iam.keys import PolicyError
from twin.iam.patterns import Context
from twin.iam.request import Principal

_ACCOUNT = re.compile(r"[0-9]{12}")
_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam::(?P<account>[0-9]{12}):(?P<root>root|(?:role|user)/[^*?]+)"
    r"|sts::[0-9]{12}:(?:assumed-role/[^/*?]+/[^/*?]+|federated-user/[^/*?]+))"
)
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?")


class Match(enum.Enum):
    """How a Principal element names a caller."""

    NO = enum.auto()
    ACCOUNT = enum.auto()
    """Through its account: the account's identity policies decide who in it may."""
    DIRECT = enum.auto()


@dataclass(frozen=True, slots=True)
class Principals:
    """A compiled Principal or NotPrincipal. accounts: of twelve digits. arns: of roles, sessions and users."""

    everyone: bool
    accounts: frozenset[str]
    arns: frozenset[str]
    services: frozenset[str]

    def match(self, caller: Principal) -> Match:
        """How the element names `caller`."""
        if self.everyone or caller.service in self.services or caller.arn in self.arns or caller.role in self.arns:
            return Match.DIRECT
        if account(caller) not in self.accounts:
            return Match.NO
        return Match.ACCOUNT if caller.role else Match.DIRECT

    def excepts(self, caller: Principal) -> bool:
        """Whether a NotPrincipal excepts `caller`: of a role's session, account, role and session must all be listed.

        Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
        """
        if self.everyone:
            return True
        if caller.service:
            return caller.service in self.services
        listed = account(caller) in self.accounts
        return listed and (not caller.role or {caller.role, caller.arn} <= self.arns)


def account(caller: Principal) -> str:
    """The account of a role's session or of an administrator, twelve digits; empty for a service."""
    return "" if caller.service else caller.arn.split(":")[4]


@functools.lru_cache(maxsize=1024)
def context(caller: Principal) -> Context:
    """The condition keys that a caller's identity gives.

    Not there: `aws:userid` of a session, which has the role's unique id in it. Source: the table of principal keys in
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    if caller.service:
        return {"aws:principalisawsservice": ("true",), "aws:principalservicename": (caller.service,)}
    found = {
        "aws:principalisawsservice": ("false",),
        "aws:principalarn": (caller.role or caller.arn,),
        "aws:principalaccount": (account(caller),),
        "aws:principaltype": ("AssumedRole" if caller.role else "Account",),
    }
    return found if caller.role else {**found, "aws:userid": (account(caller),)}


def compile_principals(element: Any, listed: Callable[[Any], Sequence[str]]) -> Principals:
    """The compiled element. listed: reads a string or a list of strings, or raises PolicyError.

    PolicyError: another kind than AWS and Service, a value that is no principal, a wildcard in a part of one.
    """
    if element == "*":
        element = {"AWS": "*"}
    if not isinstance(element, Mapping) or not element:
        raise PolicyError(f'{element!r} is neither "*" nor an object with AWS or Service')
    if unknown := sorted(set(element) - {"AWS", "Service"}):
        raise PolicyError(f"principals of the kind {unknown[0]} are not supported by the twin: AWS and Service are")
    names = listed(element["AWS"]) if "AWS" in element else ()
    services = listed(element["Service"]) if "Service" in element else ()
    for service in services:
        if not _SERVICE.fullmatch(service):
            raise PolicyError(f"{service!r} is not a service: write <name>.amazonaws.com")
    accounts, arns = set(), set()
    for name in names:
        found = _ARN.fullmatch(name)
        if _ACCOUNT.fullmatch(name):
            accounts.add(name)
        elif found and found["root"] == "root":
            accounts.add(found["account"])
        elif found:
            arns.add(name)
        elif name != "*":
            raise PolicyError(
                f"{name!r} is not a principal: write *, an account's twelve digits, or the ARN of a role, session or "
                "user without wildcards"
            )
    return Principals("*" in names, frozenset(accounts), frozenset(arns), frozenset(services))
