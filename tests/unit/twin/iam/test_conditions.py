"""Condition operators, with the examples of AWS's documentation.

The page of most tests: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import re
import time

import pytest

from twin.iam.conditions import compile_condition
from twin.iam.keys import PolicyError

KEY, MANY = "aws:UserAgent", "aws:TagKeys"
ACCOUNT = "111122223333"


def _holds(operator: str, wanted: str | list[str], *given: str, key: str = KEY, **context: str) -> bool:
    """Whether the condition holds for a request with the values `given` of the key; without values it is missing."""
    condition = compile_condition(operator, key, [wanted] if isinstance(wanted, str) else wanted)
    request = {f"aws:{name}": (text,) for name, text in context.items()}
    return condition.holds({**request, key.lower(): given} if given else request)


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "holds"),
    [
        ("StringEquals", "iamuser-admin", "iamuser-admin", True),
        ("StringEquals", "iamuser-admin", "IAMUser-admin", False),
        ("StringEquals", "a*", "ab", False),
        ("StringEqualsIgnoreCase", "iamuser-admin", "IAMUser-Admin", True),
        ("StringEqualsIgnoreCase", "a", "b", False),
        ("StringLike", "David/*", "David/x/y", True),
        ("StringLike", "David/*", "david/x", False),
        ("StringLike", "a?c", "abc", True),
        ("StringLike", "abc", "abcd", False),
        ("StringLike", "", "", True),  # s3:prefix "" of the example of a home directory
        ("NumericEquals", "10", "10.0", True),
        ("NumericEquals", "10", "11", False),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThan", "10", "10", False),
        ("NumericLessThanEquals", "10", "10", True),  # s3:max-keys of the page's example
        ("NumericLessThanEquals", "10", "11", False),
        ("NumericGreaterThan", "10", "10.5", True),
        ("NumericGreaterThan", "10", "10", False),
        ("NumericGreaterThanEquals", "-1.5", "-1.5", True),
        ("NumericGreaterThanEquals", "-1.5", "-2", False),
        ("NumericLessThan", "10", "9x", False),
        ("DateGreaterThan", "2020-01-01T00:00:01Z", "2020-06-01T12:00:00Z", True),  # aws:TokenIssueTime, the example
        ("DateGreaterThan", "2020-01-01T00:00:01Z", "2020-01-01T00:00:01Z", False),
        ("DateGreaterThanEquals", "2020-01-01T00:00:01Z", "2020-01-01T00:00:01Z", True),
        ("DateLessThan", "2020", "2019-12-31T23:59:59Z", True),
        ("DateLessThan", "2020-02", "2020-02-01", False),
        ("DateLessThanEquals", "2020-02", "2020-02-01", True),
        ("DateEquals", "2020-01-01T01:00:00+01:00", "1577836800", True),
        ("DateEquals", "1577836800", "2020-01-01", True),
        ("DateEquals", "1577836800", "2020-01-02", False),
        ("DateEquals", "2020", "yesterday", False),
        ("Bool", "false", "false", True),
        ("Bool", "false", "False", True),
        ("Bool", "false", "true", False),
        ("IpAddress", "203.0.113.0/24", "203.0.113.255", True),  # the page's example
        ("IpAddress", "203.0.113.0/24", "203.0.114.0", False),
        ("IpAddress", "203.0.113.7/24", "203.0.113.9", True),
        ("IpAddress", "203.0.113.9", "203.0.113.9", True),
        ("IpAddress", "203.0.113.9", "203.0.113.10", False),
        ("IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::1", True),
        ("IpAddress", "2001:DB8:1234:5678::/64", "203.0.113.9", False),
        ("IpAddress", "203.0.113.0/24", "nonsense", False),
        ("ArnEquals", "arn:aws:sns:eu-west-1:111122223333:topic", "arn:aws:sns:eu-west-1:111122223333:topic", True),
        ("ArnEquals", "arn:aws:sns:eu-west-1:111122223333:t*", "arn:aws:sns:eu-west-1:111122223333:topic", True),
        ("ArnEquals", "arn:aws:sns:eu-west-1:111122223333:topic", "arn:aws:sns:eu-west-1:111122223333:Topic", False),
        ("ArnLike", "arn:aws:sns:*:111122223333:*", "arn:aws:sns:eu-west-1:111122223333:topic:sub", True),
        ("ArnLike", "arn:aws:sns:*:111122223333:*", "arn:aws:sns:eu-west-1:999999999999:topic", False),
        ("ArnLike", "arn:aws:sns:*:111122223333:*", "not an arn", False),
    ],
)
def test_an_operator_and_its_negation(operator: str, wanted: str, value: str, holds: bool) -> None:
    assert _holds(operator, wanted, value) is holds
    if negated := NEGATIONS.get(operator):
        assert _holds(negated, wanted, value) is not holds


NEGATIONS = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
}
VALUES = {"Str": "a", "Num": "1", "Dat": "2020", "Boo": "true", "IpA": "10.0.0.1", "Not": "10.0.0.1"}
ARN = "arn:aws:sqs:eu-west-1:111122223333:q"
POSITIVE = [
    *("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "Bool", "IpAddress"),
    *(f"{kind}{name}" for kind in ("Numeric", "Date") for name in ("Equals", "LessThan", "LessThanEquals")),
    *(f"{kind}{name}" for kind in ("Numeric", "Date") for name in ("GreaterThan", "GreaterThanEquals")),
]


def test_a_date_without_a_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert _holds("DateEquals", "2020-01-01", "1577836800")
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("operator", [*POSITIVE, *NEGATIONS.values()])
def test_a_missing_key(operator: str) -> None:
    """ "the values do not match and the condition is false. If the policy condition requires that the key is not
    matched … the condition is true"; with IfExists true in both cases."""
    wanted = VALUES.get(operator[:3], ARN)
    assert _holds(operator, wanted) is (operator in NEGATIONS.values())
    assert _holds(f"{operator}IfExists", wanted) is True
    assert _holds(f"ForAllValues:{operator}", wanted, key=MANY) is True
    assert _holds(f"ForAnyValue:{operator}", wanted, key=MANY) is False


def test_several_values_are_alternatives_and_exceptions_under_a_negated_operator() -> None:
    """reference_policies_condition-logic-multiple-context-keys-or-values.html: OR; with a negated operator NOR."""
    assert _holds("StringEquals", ["a", "b"], "b")
    assert not _holds("StringEquals", ["a", "b"], "c")
    assert _holds("StringNotEquals", ["a", "b"], "c")
    assert not _holds("StringNotEquals", ["a", "b"], "b")


def test_if_exists_tests_a_key_that_is_there() -> None:
    """ec2:InstanceType of the page's example, with a key that the twin knows."""
    types = ["t1.*", "t2.*", "m3.*"]
    assert _holds("StringLikeIfExists", types, "t2.micro")
    assert not _holds("StringLikeIfExists", types, "c5.large")
    assert _holds("StringLikeIfExists", types)
    assert not _holds("StringNotEqualsIfExists", "a", "a")


def test_null_asks_whether_the_key_is_absent() -> None:
    """The page's example: aws:TokenIssueTime is absent, so no temporary credentials are used."""
    assert _holds("Null", "true")
    assert not _holds("Null", "true", "2020-01-01T00:00:00Z")
    assert _holds("Null", "false", "2020-01-01T00:00:00Z")
    assert not _holds("Null", "false")
    assert not _holds("Null", "false", key=MANY)


def test_for_all_values_wants_each_value_of_the_request_in_the_policy() -> None:
    """The attributes of the table Thread, reference_policies_multi-value-conditions.html."""
    allowed = ["PostDateTime", "Message", "Tags"]

    def holds(*given: str) -> bool:
        return _holds("ForAllValues:StringLike", allowed, *given, key=MANY)

    assert holds("PostDateTime", "Message")
    assert not holds("PostDateTime", "UserName")
    assert not holds("PostDateTime", "Message", "ID")


def test_for_any_value_wants_one_value_of_the_request_in_the_policy() -> None:
    """The attributes that may not be written, of the same page."""
    forbidden = ["ID", "PostDateTime"]

    def holds(*given: str) -> bool:
        return _holds("ForAnyValue:StringLike", forbidden, *given, key=MANY)

    assert holds("UserName", "Message", "PostDateTime")
    assert not holds("UserName")


def test_set_operators_with_a_negated_operator() -> None:
    assert _holds("ForAllValues:StringNotEquals", ["a", "b"], "c", "d", key=MANY)
    assert not _holds("ForAllValues:StringNotEquals", ["a", "b"], "c", "a", key=MANY)
    assert _holds("ForAnyValue:StringNotEquals", ["a", "b"], "c", "a", key=MANY)
    assert not _holds("ForAnyValue:StringNotEquals", ["a", "b"], "b", "a", key=MANY)


def test_an_empty_string_is_no_value_for_set_operators() -> None:
    """ "if the key values in the request resolve to an empty data set (for example, an empty string)"."""
    assert _holds("ForAllValues:StringEquals", "a", "", key=MANY)
    assert not _holds("ForAnyValue:StringEquals", "", "", key=MANY)


def test_set_operators_with_if_exists() -> None:
    assert _holds("ForAnyValue:StringEqualsIfExists", "a", key=MANY)
    assert not _holds("ForAnyValue:StringEqualsIfExists", "a", "b", key=MANY)
    assert _holds("ForAllValues:StringEqualsIfExists", "a", key=MANY)
    assert not _holds("ForAllValues:StringEqualsIfExists", "a", "a", "b", key=MANY)


def test_the_leading_keys_of_a_table_are_patterns() -> None:
    """The form of the template: each partition key of the request must have one of the prefixes."""
    operator, wanted, key = "ForAllValues:StringLike", ["OBJECT#*", "RUN"], "dynamodb:LeadingKeys"
    assert _holds(operator, wanted, "OBJECT#1", "RUN", key=key)
    assert not _holds(operator, wanted, "OBJECT#1", "RUN#2", key=key)


def test_variables_in_strings_and_arns() -> None:
    assert _holds("StringEquals", "${aws:PrincipalAccount}", ACCOUNT, principalaccount=ACCOUNT)
    assert not _holds("StringEquals", "${aws:PrincipalAccount}", "999999999999", principalaccount=ACCOUNT)
    assert _holds("ArnLike", "arn:aws:iam::${aws:PrincipalAccount}:role/*", f"arn:aws:iam::{ACCOUNT}:role/r",
                  principalaccount=ACCOUNT)  # fmt: skip


def test_a_variable_without_a_value_matches_nothing_and_a_negated_operator_holds() -> None:
    """ "Inverted condition operators like StringNotEquals or StringNotLike do match against a null value", "policy
    variables with no value" of reference_policies_variables.html."""
    assert not _holds("StringEquals", "${aws:PrincipalTag/Team}", "")
    assert not _holds("StringLike", "*${aws:PrincipalTag/Team}", "yellow")
    assert _holds("StringNotEquals", "${aws:PrincipalTag/Team}", "yellow")


def test_keys_are_compared_without_regard_to_case() -> None:
    assert compile_condition("Bool", "AWS:SECURETRANSPORT", ["true"]).holds({"aws:securetransport": ("true",)})


@pytest.mark.parametrize(
    ("operator", "key", "value", "problem"),
    [
        ("StringLikes", KEY, "a", "unknown operator: did you mean StringLike?"),
        ("stringequals", KEY, "a", "unknown operator: did you mean StringEquals?"),
        ("Frobnicate", KEY, "a", "unknown operator Frobnicate"),
        ("BinaryEquals", KEY, "a", "unknown operator"),
        ("NullIfExists", KEY, "true", "unknown operator"),
        ("ForAllValues:Null", KEY, "true", "unknown operator"),
        ("ForSomeValues:StringLike", KEY, "a", "unknown operator: did you mean ForAllValues:StringLike?"),
        ("StringEquals", "s3:prefx", "a", "unknown condition key s3:prefx: did you mean s3:prefix?"),
        ("NumericEquals", KEY, "ten", "'ten' is not a number"),
        ("NumericEquals", KEY, "nan", "'nan' is not a number"),
        ("NumericEquals", KEY, "${aws:EpochTime}", "is not a number"),
        ("DateEquals", KEY, "yesterday", "'yesterday' is not a date"),
        ("DateEquals", KEY, "2020-13", "'2020-13' is not a date"),
        ("Bool", KEY, "yes", "'yes' is neither true nor false"),
        ("Null", KEY, "TRUE", "'TRUE' is neither true nor false"),
        ("IpAddress", KEY, "203.0.113/24", "'203.0.113/24' is not an IP address or range"),
        ("ArnLike", KEY, "*", "'*' is not an ARN"),
        ("ArnEquals", KEY, "arn:aws:sns:eu-west-1", "'arn:aws:sns:eu-west-1' is not an ARN"),
        ("StringEquals", KEY, "${aws:nonsense}", "unknown policy variable ${aws:nonsense}"),
        (
            "StringLike",
            "dynamodb:LeadingKeys",
            "a",
            "dynamodb:LeadingKeys has many values in a request: write ForAllValues:StringLike or ForAnyValue:",
        ),
    ],
)
def test_what_is_not_understood_is_an_error(operator: str, key: str, value: str, problem: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(problem)):
        compile_condition(operator, key, [value])


def test_a_condition_without_values_is_an_error() -> None:
    with pytest.raises(PolicyError, match="the list of values is empty"):
        compile_condition("StringEquals", KEY, [])
