"""Compiles the Condition element of a policy, and decides whether a condition holds for a request.

Sources, under https://docs.aws.amazon.com/IAM/latest/UserGuide/: reference_policies_elements_condition_operators.html,
reference_policies_condition-single-vs-multi-valued-context-keys.html.
"""

from __future__ import annotations

import difflib
import ipaddress
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from twin.iam import keys, patterns
from twin.iam.keys import PolicyError
from twin.iam.patterns import Context

Comparison = Callable[[str, Context], bool]
"""Whether one value of the request matches one value of the policy."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator. operator: as written. key: in lower case. values: of the policy; one has to match."""

    operator: str
    key: str
    values: tuple[str, ...]
    holds: Callable[[Context], bool] = field(compare=False, repr=False)


def operator_of(name: str) -> tuple[str, str, bool]:
    """`ForAnyValue:StringLikeIfExists` → ("ForAnyValue", "StringLike", True). PolicyError: it is unknown."""
    qualifier, colon, rest = name.rpartition(":")
    base = rest.removesuffix("IfExists")
    if_exists = base != rest
    known = base in _OPERATORS or (base == "Null" and not if_exists and not colon)
    if known and (not colon or qualifier in _QUALIFIERS):
        return qualifier, base, if_exists
    close = difflib.get_close_matches(name, _SPELLINGS, n=1)
    raise PolicyError("unknown operator" + (f": did you mean {close[0]}?" if close else f" {name}"))


def compile_condition(name: str, key_name: str, values: Sequence[str]) -> Condition:
    """The condition of one key. PolicyError: an unknown operator or key, or a value that the operator does not take."""
    qualifier, base, if_exists = operator_of(name)
    key = keys.find(key_name)
    if key.multivalued and not qualifier and base != "Null":
        raise PolicyError(f"{key_name} has many values in a request: write ForAllValues:{name} or ForAnyValue:{name}")
    if not values:
        raise PolicyError("the list of values is empty: name one, or remove the condition")
    if base == "Null":
        absent = {_boolean(value) for value in values}
        return Condition(name, key.name, tuple(values), lambda context: (not context.get(key.name)) in absent)
    known = _OPERATORS[base]
    comparisons = tuple(known.compile(value) for value in values)
    holds = _QUALIFIERS[qualifier](key.name, comparisons, known.negated, if_exists)
    return Condition(name, key.name, tuple(values), holds)


@dataclass(frozen=True, slots=True)
class _Operator:
    compile: Callable[[str], Comparison]
    negated: bool = False


def _test(comparisons: Sequence[Comparison], negated: bool) -> Comparison:
    """A value matches a positive operator when one value of the policy matches, a negated one when none does."""

    def test(value: str, context: Context) -> bool:
        return any(comparison(value, context) for comparison in comparisons) != negated

    return test


def _one(key: str, comparisons: Sequence[Comparison], negated: bool, if_exists: bool) -> Callable[[Context], bool]:
    test, missing = _test(comparisons, negated), negated or if_exists

    def holds(context: Context) -> bool:
        values = context.get(key)
        return test(values[0], context) if values else missing

    return holds


def _all(key: str, comparisons: Sequence[Comparison], negated: bool, if_exists: bool) -> Callable[[Context], bool]:
    del if_exists  # a missing key is true in any case
    test = _test(comparisons, negated)
    return lambda context: all(test(value, context) for value in context.get(key, ()) if value)


def _some(key: str, comparisons: Sequence[Comparison], negated: bool, if_exists: bool) -> Callable[[Context], bool]:
    test = _test(comparisons, negated)

    def holds(context: Context) -> bool:
        values = context.get(key)
        return any(test(value, context) for value in values if value) if values else if_exists

    return holds


#: The set operators. AWS: an empty string counts as no value for both.
_QUALIFIERS: Final = {"": _one, "ForAllValues": _all, "ForAnyValue": _some}


def _compared(read: Callable[[str], float], what: str, compare: Callable[[float, float], bool]) -> _Operator:
    """An operator on numbers or dates. A value of the request that is none matches nothing."""

    def compiled(text: str) -> Comparison:
        try:
            wanted = read(text)
        except ValueError:
            raise PolicyError(f"{text!r} is not {what}") from None

        def comparison(value: str, _: Context) -> bool:
            try:
                return compare(read(value), wanted)
            except ValueError:
                return False

        return comparison

    return _Operator(compiled)


def _date(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date (W3C's forms, from `2026` to `2026-03-01T12:00:00Z`) or of epoch time."""
    if re.fullmatch(r"\d{5,}(\.\d+)?", text):
        return float(text)
    if re.fullmatch(r"\d{4}(-\d\d)?", text):
        text = f"{text}-01-01"[:10]
    elif not re.match(r"\d{4}-\d\d-\d\d", text):
        raise ValueError(text)
    date = datetime.fromisoformat(text)
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float:
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", text):
        raise ValueError(text)
    return float(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise PolicyError(f"{text!r} is neither true nor false")
    return text == "true"


def _bool(text: str) -> Comparison:
    wanted = str(_boolean(text)).lower()
    return lambda value, _: value.lower() == wanted


def _ip(text: str) -> Comparison:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise PolicyError(f"{text!r} is not an IP address or range: write 203.0.113.0/24 or 2001:db8::/32") from None

    def comparison(value: str, _: Context) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return comparison


def _equals(text: str) -> Comparison:
    return patterns.equal(text).matches


def _equals_ignoring_case(text: str) -> Comparison:
    return patterns.equal(text, ignore_case=True).matches


def _like(text: str) -> Comparison:
    return patterns.like(text).matches


def _arn(text: str) -> Comparison:
    return patterns.arn(text).matches


_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_POSITIVE: Final = {
    "StringEquals": _Operator(_equals),
    "StringEqualsIgnoreCase": _Operator(_equals_ignoring_case),
    "StringLike": _Operator(_like),
    "ArnEquals": _Operator(_arn),
    "ArnLike": _Operator(_arn),
    "Bool": _Operator(_bool),
    "IpAddress": _Operator(_ip),
    **{f"Numeric{name}": _compared(_number, "a number", compare) for name, compare in _COMPARE.items()},
    **{f"Date{name}": _compared(_date, "a date", compare) for name, compare in _COMPARE.items()},
}
_NEGATED: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
_OPERATORS: Final = _POSITIVE | {name: _Operator(_POSITIVE[base].compile, True) for name, base in _NEGATED.items()}
_SPELLINGS: Final = (
    "Null",
    *(f"{prefix}{name}" for prefix in ("", "ForAllValues:", "ForAnyValue:") for name in _OPERATORS),
    *(f"{name}IfExists" for name in _OPERATORS),
)
