"""Parses policy documents into compiled policies. What IAM refuses, and what the twin does not know, is a PolicyError.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import contextlib
import difflib
import enum
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin.iam import patterns
from twin.iam.conditions import Condition, compile_condition, operator_of
from twin.iam.keys import PolicyError
from twin.iam.patterns import Pattern
from twin.iam.principals import Principals, compile_principals

VERSION = "2012-10-17"
_VERSIONS = ("2008-10-17", VERSION)
_ELEMENTS = (
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource"),
    "Condition",
)
_SID = re.compile(r"[A-Za-z0-9]*")


class Kind(enum.Enum):
    """What a policy is attached to; the value is its name in AWS's messages."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled statement.

    Of `actions` and `not_actions` exactly one has entries, of `resources` and `not_resources` at most one: a trust
    policy has none, and a resource policy may leave them out, which means the resource that it is attached to.
    Of `principals` and `not_principals` exactly one is set in a resource or trust policy, none in an identity policy.
    """

    sid: str
    effect: str
    actions: tuple[Pattern, ...] = ()
    not_actions: tuple[Pattern, ...] = ()
    resources: tuple[Pattern, ...] = ()
    not_resources: tuple[Pattern, ...] = ()
    principals: Principals | None = None
    not_principals: Principals | None = None
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy. name: what error messages call it."""

    name: str
    kind: Kind
    statements: tuple[Statement, ...]


def identity_policy(name: str, document: str | Mapping[str, Any]) -> Policy:
    """The policy of a role, from its document (JSON text or the object). PolicyError: see the module."""
    return _policy(name, document, Kind.IDENTITY)


def resource_policy(name: str, document: str | Mapping[str, Any]) -> Policy:
    """The policy of a bucket, queue, function, secret …. PolicyError: see the module."""
    return _policy(name, document, Kind.RESOURCE)


def trust_policy(name: str, document: str | Mapping[str, Any]) -> Policy:
    """The AssumeRolePolicyDocument of a role. PolicyError: see the module."""
    return _policy(name, document, Kind.TRUST)


def _policy(name: str, document: str | Mapping[str, Any], kind: Kind) -> Policy:
    with _at(f"policy {name}"):
        found = _read(document)
        allowed = ("Version", "Statement") if kind is Kind.IDENTITY else ("Version", "Id", "Statement")
        _refuse_unknown(found, allowed)
        version = found.get("Version", _VERSIONS[0])
        if version not in _VERSIONS:
            raise PolicyError(f"Version {version!r} does not exist: write {VERSION}")
        elements = found.get("Statement", [])
        elements = elements if isinstance(elements, list) else [elements]
        if not elements:
            raise PolicyError("it has no Statement: add one")
    statements: list[Statement] = []
    for number, element in enumerate(elements, 1):
        sid = element.get("Sid") if isinstance(element, Mapping) else None
        with _at(f"policy {name}, statement {sid or number}"):
            statement = _statement(element, kind, version)
            if statement.sid and statement.sid in {other.sid for other in statements}:
                raise PolicyError("two statements have this Sid: rename one")
            statements.append(statement)
    return Policy(name, kind, tuple(statements))


def _read(document: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(document, str):
        try:
            document = json.loads(document, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            raise PolicyError(f"it is not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise PolicyError("it is not an object with Version and Statement")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise PolicyError(f"{twice} is there twice in one object: join the two")
    return found


def _statement(element: Any, kind: Kind, version: str) -> Statement:
    if not isinstance(element, Mapping):
        raise PolicyError(f"{element!r} is not an object")
    _refuse_unknown(element, _ELEMENTS)
    sid, effect = element.get("Sid", ""), element.get("Effect")
    if not isinstance(sid, str) or (kind is not Kind.RESOURCE and not _SID.fullmatch(sid)):
        raise PolicyError(f"{sid!r} has other characters than letters and digits", "Sid")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"{effect!r} is neither Allow nor Deny", "Effect")
    _check_presence(element, kind)

    def compiled(name: str, compile_one: Callable[[str], Pattern]) -> tuple[Pattern, ...]:
        if name not in element:
            return ()
        with _at(name):
            return tuple(compile_one(text) for text in _strings(element[name], version))

    def principals(name: str) -> Principals | None:
        if name not in element:
            return None
        with _at(name):
            return compile_principals(element[name], lambda value: _strings(value, version))

    statement = Statement(
        sid,
        effect,
        compiled("Action", patterns.action),
        compiled("NotAction", patterns.action),
        # Where AWS's documents leave a match open, the caller does not profit from it.
        compiled("Resource", functools.partial(patterns.resource, goes_on=effect == "Deny")),
        compiled("NotResource", functools.partial(patterns.resource, goes_on=effect == "Allow")),
        principals("Principal"),
        principals("NotPrincipal"),
        tuple(_conditions(element["Condition"], version)) if "Condition" in element else (),
    )
    if kind is Kind.TRUST:
        for pattern in statement.actions + statement.not_actions:
            if not pattern.text.lower().startswith("sts:"):
                raise PolicyError(f"{pattern.text} is not an action of sts, and a trust policy has no others", "Action")
    return statement


def _check_presence(element: Mapping[str, Any], kind: Kind) -> None:
    for name in ("Principal", "Action", "Resource"):
        if name in element and f"Not{name}" in element:
            raise PolicyError(f"it has {name} and Not{name}: keep one")
    if "Action" not in element and "NotAction" not in element:
        raise PolicyError("it has no Action: name one")
    named = next((name for name in ("Principal", "NotPrincipal") if name in element), None)
    if kind is Kind.IDENTITY and named:
        raise PolicyError("an identity policy has none: its principal is the role that has it", named)
    if kind is not Kind.IDENTITY and not named:
        raise PolicyError(f"it has no Principal, which a {kind.value} needs: name who may")
    if named == "NotPrincipal" and element["Effect"] == "Allow":
        raise PolicyError("AWS supports it with Effect Deny only: use Principal with a condition", named)
    resource = next((name for name in ("Resource", "NotResource") if name in element), None)
    if kind is Kind.IDENTITY and not resource:
        raise PolicyError("it has no Resource: name one")
    if kind is Kind.TRUST and resource:
        raise PolicyError("a trust policy has none: its resource is the role that has it", resource)


def _conditions(element: Any, version: str) -> Iterator[Condition]:
    if not isinstance(element, Mapping):
        raise PolicyError("it is not an object of operators", "Condition")
    for operator, tests in element.items():
        with _at(f"Condition.{operator}"):
            operator_of(operator)
            if not isinstance(tests, Mapping) or not tests:
                raise PolicyError("it is not an object of condition keys")
        for key, values in tests.items():
            with _at(f"Condition.{operator}.{key}"):
                yield compile_condition(operator, key, _strings(values, version, scalars=True))


def _strings(value: Any, version: str, *, scalars: bool = False) -> Sequence[str]:
    """A value or a list of values as strings; scalars: numbers and booleans are allowed too, as in conditions."""
    found = []
    for item in value if isinstance(value, list) else [value]:
        if scalars and isinstance(item, bool | int | float):
            item = str(item).lower() if isinstance(item, bool) else str(item)  # noqa: PLW2901
        if not isinstance(item, str):
            raise PolicyError(f"{item!r} is not a string")
        if patterns.variables(item) and version != VERSION:
            raise PolicyError(f'{item} has a policy variable, which needs "Version": "{VERSION}"')
        found.append(item)
    if not found:
        raise PolicyError("the list is empty: name one, or remove it")
    return found


def _refuse_unknown(element: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in element:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            raise PolicyError(f"unknown element {name}: {hint}")


@contextlib.contextmanager
def _at(place: str) -> Iterator[None]:
    """Put a place in front of that of a PolicyError."""
    try:
        yield
    except PolicyError as error:
        raise PolicyError(error.problem, f"{place}, {error.place}" if error.place else place) from None
