"""Wildcards, policy variables and escapes, with the examples of AWS's documentation."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.iam import patterns
from twin.iam.keys import PolicyError
from twin.iam.patterns import Pattern

SOURCE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"


def _matches(pattern: Pattern, value: str, **context: str) -> bool:
    return pattern.matches(value, {f"aws:{key}".replace("__", "/"): (text,) for key, text in context.items()})


# ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "action", "matched"),
    [
        ("s3:GetObject", "s3:getobject", True),
        # reference_policies_elements_action.html: "iam:ListAccessKeys is the same as IAM:listaccesskeys"
        ("IAM:listaccesskeys", "iam:listaccesskeys", True),
        # the same page: "iam:*AccessKey*" applies to Create-, Delete-, List- and UpdateAccessKey
        ("iam:*AccessKey*", "iam:createaccesskey", True),
        ("iam:*AccessKey*", "iam:listaccesskeys", True),
        ("iam:*AccessKey*", "iam:createuser", False),
        ("s3:*", "s3:putobject", True),
        ("s3:*", "s3-outposts:putobject", False),
        ("*", "sqs:sendmessage", True),
        ("ec2:Describe*", "ec2:describe", True),
        ("s3:Get?bject", "s3:getobject", True),
        ("s3:GetObject?", "s3:getobject", False),
        ("s3:GetObject", "s3:getobjectversion", False),
    ],
)
def test_an_action_matches_without_regard_to_case(pattern: str, action: str, matched: bool) -> None:
    assert _matches(patterns.action(pattern), action) is matched


@pytest.mark.parametrize("text", ["", "GetObject", ":GetObject", "s3:", "s*:Get", "s3:Get Object", "s3:a:b", "**"])
def test_what_is_no_action_is_an_error(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        patterns.action(text)
    expected = f"{text!r} is not an action: write <service>:<action>, such as s3:GetObject or s3:Get*"
    assert str(caught.value) == expected


# ── resources ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "resource", "matched"),
    [
        ("*", "arn:aws:s3:::bucket/a:b/c", True),
        ("*", "*", True),
        ("arn:aws:s3:::bucket", "*", False),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket", True),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket/key", False),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a/b:c", True),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket", False),
        ("arn:aws:s3:::Bucket", "arn:aws:s3:::bucket", False),
        # reference_policies_elements_resource.html: all of the objects, "not only the first object listed"
        ("arn:aws:s3:::amzn-s3-demo-bucket/*/test/*", "arn:aws:s3:::amzn-s3-demo-bucket/1/test/object.jpg", True),
        ("arn:aws:s3:::amzn-s3-demo-bucket/*/test/*", "arn:aws:s3:::amzn-s3-demo-bucket/1/2/test/object.jpg", True),
        ("arn:aws:s3:::amzn-s3-demo-bucket/*/test/*", "arn:aws:s3:::amzn-s3-demo-bucket/1/2/test/3/object.jpg", True),
        ("arn:aws:s3:::amzn-s3-demo-bucket/*/test/*", "arn:aws:s3:::amzn-s3-demo-bucket/1-test/object.jpg", False),
        ("arn:aws:s3:::amzn-s3-demo-bucket/*/test/*", "arn:aws:s3:::amzn-s3-demo-bucket/test/object.jpg", False),
        # the same page: all users whose path is /accounting
        ("arn:aws:iam::123456789012:user/accounting/*", "arn:aws:iam::123456789012:user/accounting/Bob", True),
        ("arn:aws:iam::123456789012:user/accounting/*", "arn:aws:iam::123456789012:user/sales/Bob", False),
        # a wildcard stays in its part, but for the last
        ("arn:aws:sqs:*:123456789012:q", "arn:aws:sqs:eu-west-1:123456789012:q", True),
        ("arn:aws:sqs:eu-*:*:q", "arn:aws:sqs:eu-west-1:123456789012:q", True),
        ("arn:aws:sqs:*:*:q", "arn:aws:sqs:eu-west-1:123456789012:x:q", False),
        ("arn:aws:states:*:*:p", "arn:aws:states:eu-west-1:123456789012:execution:p", False),
        ("arn:aws:states:*:*:*:p", "arn:aws:states:eu-west-1:123456789012:execution:p", True),
        ("arn:aws:sqs:eu-west-?:123456789012:q?", "arn:aws:sqs:eu-west-1:123456789012:q1", True),
        (
            "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST",
            "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST",
            True,
        ),
        ("arn:*:sqs:eu-west-1:123456789012:q", "arn:aws-cn:sqs:eu-west-1:123456789012:q", True),
        # regular expressions mean nothing
        ("arn:aws:s3:::b/a.c", "arn:aws:s3:::b/abc", False),
        ("arn:aws:s3:::b/[a]*", "arn:aws:s3:::b/[a]x\n", True),
    ],
)
def test_a_resource_matches_part_by_part(pattern: str, resource: str, matched: bool) -> None:
    assert _matches(patterns.resource(pattern), resource) is matched


@pytest.mark.parametrize(
    ("pattern", "resource", "matched"),
    [
        ("arn:aws:states:*:*:p", "arn:aws:states:eu-west-1:123456789012:execution:p", True),
        ("arn:aws:states:eu-*:123456789012:p", "arn:aws:states:eu-west-1:1:2:123456789012:p", True),
        ("arn:aws:states:*:*:p", "arn:aws:states:eu-west-1:123456789012:execution:q", False),
        # not at the end of its part
        ("arn:aws:states:*-1:123456789012:p", "arn:aws:states:eu:x-1:123456789012:p", False),
        ("arn:aws:states:*:*:${aws:username, 'p'}", "arn:aws:states:eu-west-1:123456789012:execution:p", True),
    ],
)
def test_a_star_that_ends_a_part_can_go_on(pattern: str, resource: str, matched: bool) -> None:
    """ "If the * wildcard is the last character of a resource ARN segment, it can expand to match beyond the colon
    boundaries" (reference_policies_elements_resource.html)."""
    assert _matches(patterns.resource(pattern, goes_on=True), resource) is matched


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("bucket", "'bucket' is not an ARN: write arn:<partition>:<service>:<region>:<account>:<resource>"),
        ("arn:aws:s3:*", "'arn:aws:s3:*' is not an ARN: write arn:<partition>"),
        ("arn:aws:s3:::", "'arn:aws:s3:::' is not an ARN: write"),
        ("arn:aws::::q", "'arn:aws::::q' is not an ARN: write"),
        ("arn:gcp:sqs:eu-west-1:123456789012:q", "is not an ARN: 'gcp' is not a partition"),
        ("arn:aws:sqs:Ireland!:123456789012:q", "is not an ARN: 'Ireland!' is not a region"),
        ("arn:aws:sqs:eu-west-1:12345:q", "is not an ARN: '12345' is not an account of twelve digits"),
        ("arn:aws:s?s:eu-west-1:123456789012:q", "has a wildcard in the part of the service: name the service"),
        (
            "arn:aws:sqs:eu-west-1:${aws:PrincipalAccount}:q",
            "has a policy variable before its fifth colon: use it in the resource's part only",
        ),
        # what is left when !Sub is forgotten
        ("arn:aws:s3:::${AWS::StackName}-x", "unknown policy variable ${AWS::StackName}: unknown condition key"),
    ],
)
def test_what_is_no_arn_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        patterns.resource(text)
    assert problem in str(caught.value)


def test_an_arn_of_a_condition_is_compared_part_by_part() -> None:
    """The example of reference_policies_elements_condition_operators.html: StringLike matches, ArnLike does not."""
    text = "arn:aws:someservice:*:111122223333:finance/*"
    value = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"
    assert _matches(patterns.like(text), value)
    assert not _matches(patterns.arn(text), value)
    assert _matches(patterns.arn(text), "arn:aws:someservice:us-east-2:111122223333:finance/document.txt")
    assert _matches(patterns.arn("arn:aws:*:*:111122223333:*"), "arn:aws:sqs:eu-west-1:111122223333:q")


# ── variables ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_variable_is_replaced_by_the_value_of_the_request() -> None:
    """The user's own folder, reference_policies_variables.html."""
    pattern = patterns.resource("arn:aws:s3:::mybucket/${aws:username}/*")
    assert _matches(pattern, "arn:aws:s3:::mybucket/David/x", username="David")
    assert not _matches(pattern, "arn:aws:s3:::mybucket/David/x", username="Adele")
    assert not _matches(pattern, "arn:aws:s3:::mybucket/David/x")


def test_a_variable_without_a_value_takes_its_default() -> None:
    """ "amzn-s3-demo-bucket-${aws:PrincipalTag/team, 'company-wide'}" of reference_policies_variables.html."""
    pattern = patterns.resource("arn:aws:s3:::amzn-s3-demo-bucket-${aws:PrincipalTag/team, 'company-wide'}")
    assert _matches(pattern, "arn:aws:s3:::amzn-s3-demo-bucket-yellow", principaltag__team="yellow")
    assert not _matches(pattern, "arn:aws:s3:::amzn-s3-demo-bucket-company-wide", principaltag__team="yellow")
    assert _matches(pattern, "arn:aws:s3:::amzn-s3-demo-bucket-company-wide")
    assert not _matches(pattern, "arn:aws:s3:::amzn-s3-demo-bucket-yellow")


def test_the_value_of_a_variable_is_no_pattern() -> None:
    pattern = patterns.resource("arn:aws:s3:::b/${aws:username}")
    assert not _matches(pattern, "arn:aws:s3:::b/secret", username="*")
    assert _matches(pattern, "arn:aws:s3:::b/*", username="*")


def test_a_default_with_colons_does_not_move_the_parts_of_an_arn() -> None:
    pattern = patterns.arn("arn:aws:iam::${aws:PrincipalAccount, '1:2'}:role/x")
    assert _matches(pattern, "arn:aws:iam::123456789012:role/x", principalaccount="123456789012")


def test_variables_are_known_in_any_case_and_several_in_one_string() -> None:
    pattern = patterns.like("${AWS:UserName}-${aws:userid}")
    assert _matches(pattern, "Bob-7", username="Bob", userid="7")
    assert not _matches(pattern, "Bob-7", username="Bob")


@pytest.mark.parametrize(
    ("pattern", "value", "matched"),
    [
        ("a${*}b", "a*b", True),
        ("a${*}b", "axb", False),
        ("a${?}", "a?", True),
        ("a${?}", "ab", False),
        ("${$}{aws:username}", "${aws:username}", True),
        ("*${*}", "any*", True),
        ("*${*}", "any", False),
    ],
)
def test_escapes_stand_for_the_character(pattern: str, value: str, matched: bool) -> None:
    """ "${*}, ${?}, ${$}", special characters of reference_policies_variables.html."""
    assert _matches(patterns.like(pattern), value) is matched
    if "*" not in pattern.replace("${*}", ""):
        assert _matches(patterns.equal(pattern), value) is matched


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${aws:usrname}", "unknown policy variable ${aws:usrname}: unknown condition key aws:usrname: did you mean"),
        ("${}", "${} is not a policy variable: write ${key} or ${key, 'default'}"),
        ("${aws:username,'x'}", "is not a policy variable: write"),
        ("${aws:username, x}", "is not a policy variable: write"),
        ("a${aws:username", "'${aws:username' opens a policy variable and does not close it: write }"),
        ("${aws:TagKeys}", "${aws:TagKeys} has many values in a request: only a single-valued key"),
    ],
)
def test_what_is_no_variable_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        patterns.like(text)
    assert problem in str(caught.value)


def test_equal_takes_wildcards_literally() -> None:
    assert not _matches(patterns.equal("a*"), "ab")
    assert _matches(patterns.equal("a*"), "a*")
    assert _matches(patterns.equal("a*B", ignore_case=True), "A*b")
    assert not _matches(patterns.equal("a*B", ignore_case=True), "Axb")
    assert _matches(patterns.equal("x${aws:username}", ignore_case=True), "XbOB", username="Bob")


# ── against a naive reference ────────────────────────────────────────────────────────────────────────────────────────


@functools.cache
def _naive(pattern: str, value: str) -> bool:
    """The definition, by recursion: `*` is any number of characters, `?` is one."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return _naive(pattern[1:], value) or (value != "" and _naive(pattern, value[1:]))
    return value != "" and pattern[0] in ("?", value[0]) and _naive(pattern[1:], value[1:])


_TEXT = st.text("ab:/.", max_size=9)
_GLOB = st.text("ab:/.*?", max_size=9)


@given(_GLOB, _TEXT)
def test_wildcards_match_as_defined(pattern: str, value: str) -> None:
    assert _matches(patterns.like(pattern), value) is _naive(pattern, value)


@given(_GLOB, st.lists(st.tuples(st.sampled_from(["", "a", "ab", "/", "."]), st.booleans()), max_size=9))
def test_wildcards_match_what_is_made_from_the_pattern(pattern: str, fills: list[tuple[str, bool]]) -> None:
    """Values that match are rare among random ones: here each `*` is replaced by a text, each `?` by a character."""
    made = iter(fills)
    value = "".join(
        next(made, ("", True))[0] if character == "*" else "b" if character == "?" else character
        for character in pattern
    )
    assert _matches(patterns.like(pattern), value)


@given(st.text("a1*?", max_size=4), st.text("1*?", max_size=4), st.text("ab:*?", min_size=1, max_size=6),
       st.text("a1", max_size=3), st.text("1", max_size=5))  # fmt: skip
def test_an_arn_matches_where_each_of_its_parts_does(
    region: str, account: str, last: str, given_region: str, given_account: str
) -> None:
    account += "*"  # an account without a wildcard has twelve digits
    matched = _naive(region, given_region) and _naive(account, given_account) and _naive(last, "a:b")
    pattern = patterns.resource(f"arn:aws:sqs:{region}:{account}:{last}")
    assert _matches(pattern, f"arn:aws:sqs:{given_region}:{given_account}:a:b") is matched


def test_many_wildcards_take_no_exponential_time() -> None:
    """A regular expression `.*a.*a…` would try some 10^30 ways here, and the test would not end."""
    assert not _matches(patterns.like("*a" * 30 + "b"), "a" * 300)
    assert _matches(patterns.like("*a" * 30), "a" * 300)
