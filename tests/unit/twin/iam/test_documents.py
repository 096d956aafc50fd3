"""Policy documents: what is parsed, and what is refused with which words.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from twin.iam.documents import Kind, Policy, identity_policy, resource_policy, trust_policy
from twin.iam.keys import PolicyError

PARSE = {Kind.IDENTITY: identity_policy, Kind.RESOURCE: resource_policy, Kind.TRUST: trust_policy}
STATEMENT = {"Sid": "Deliver", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::landing/*"}
OPEN = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
BY_KIND = {Kind.IDENTITY: STATEMENT, Kind.RESOURCE: OPEN, Kind.TRUST: TRUST}


def _document(*statements: Any, **elements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements), **elements}


def _error(kind: Kind, document: Any) -> str:
    with pytest.raises(PolicyError) as caught:
        PARSE[kind]("streams", document)
    return str(caught.value)


def _statement_error(kind: Kind = Kind.IDENTITY, **changed: Any) -> str:
    """The error of the kind's statement with changed elements; an element that is None is left out."""
    statement = {name: value for name, value in {**BY_KIND[kind], **changed}.items() if value is not None}
    return _error(kind, _document(statement))


def test_one_value_and_lists_one_statement_and_several() -> None:
    one = identity_policy("streams", {"Version": "2012-10-17", "Statement": STATEMENT})
    listed = {**STATEMENT, "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::landing/*"]}
    assert one == identity_policy("streams", _document(listed))
    (statement,) = one.statements
    assert (one.name, one.kind, statement.sid, statement.effect) == ("streams", Kind.IDENTITY, "Deliver", "Allow")
    assert [pattern.text for pattern in statement.actions] == ["s3:PutObject"]
    assert [pattern.text for pattern in statement.resources] == ["arn:aws:s3:::landing/*"]
    assert statement.principals is None and statement.conditions == ()
    assert len(identity_policy("p", _document(STATEMENT, {**STATEMENT, "Sid": "Other"})).statements) == 2


def test_json_text_is_read_as_the_object() -> None:
    document = _document({**OPEN, "Condition": {"Bool": {"aws:SecureTransport": True}}}, Id="queue")
    assert resource_policy("q", json.dumps(document)) == resource_policy("q", document)


def test_exceptions_are_parsed_into_their_own_fields() -> None:
    statement = {
        "Effect": "Deny",
        "NotPrincipal": {"AWS": "123456789012"},
        "NotAction": "s3:Get*",
        "NotResource": "arn:aws:s3:::b/*",
    }
    (parsed,) = resource_policy("b", _document(statement)).statements
    assert not parsed.actions and [pattern.text for pattern in parsed.not_actions] == ["s3:Get*"]
    assert not parsed.resources and [pattern.text for pattern in parsed.not_resources] == ["arn:aws:s3:::b/*"]
    assert parsed.principals is None and parsed.not_principals is not None


def test_conditions_keep_operator_key_and_values() -> None:
    condition = {
        "StringEquals": {"s3:prefix": ["a", "b"], "aws:SourceAccount": 123456789012},
        "Bool": {"aws:SecureTransport": False},
    }
    (parsed,) = identity_policy("p", _document({**STATEMENT, "Condition": condition})).statements
    assert [(one.operator, one.key, one.values) for one in parsed.conditions] == [
        ("StringEquals", "s3:prefix", ("a", "b")),
        ("StringEquals", "aws:sourceaccount", ("123456789012",)),
        ("Bool", "aws:securetransport", ("false",)),
    ]


def test_a_sid_of_a_resource_policy_may_have_spaces_and_no_resource() -> None:
    (parsed,) = resource_policy("q", _document({**OPEN, "Sid": "Let them in"})).statements
    assert (parsed.sid, parsed.resources) == ("Let them in", ())


def test_an_old_version_is_read_where_no_variable_is_used() -> None:
    assert identity_policy("p", {"Version": "2008-10-17", "Statement": [STATEMENT]}).statements
    assert identity_policy("p", {"Statement": [STATEMENT]}).statements


@pytest.mark.parametrize("version", [{}, {"Version": "2008-10-17"}])
def test_a_variable_needs_the_newer_version(version: dict[str, str]) -> None:
    """ "Variables were introduced in version 2012-10-17 … If you don't include the Version element …, variables like
    ${aws:username} are treated as literal strings" (reference_policies_variables.html): certainly not meant."""
    for place, changed in {
        "Resource": {"Resource": "arn:aws:s3:::b/${aws:username}"},
        "Condition.StringLike.s3:prefix": {"Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}}},
    }.items():
        text = _error(Kind.IDENTITY, {**version, "Statement": [{**STATEMENT, **changed}]})
        assert text.startswith(f"policy streams, statement Deliver, {place}: ")
        assert text.endswith(' has a policy variable, which needs "Version": "2012-10-17"')


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{", "it is not JSON: Expecting property name"),
        ("[]", "it is not an object with Version and Statement"),
        (_document(STATEMENT, Versoin=1), "unknown element Versoin: did you mean Version?"),
        (_document(STATEMENT, Id="x"), "unknown element Id: known are Version, Statement"),
        ({"Version": "2012-10-18", "Statement": [STATEMENT]}, "Version '2012-10-18' does not exist: write 2012-10-17"),
        ({"Version": "2012-10-17"}, "it has no Statement: add one"),
        (_document(), "it has no Statement: add one"),
        ('{"Version": "2012-10-17", "Version": "2008-10-17"}', "Version is there twice in one object: join the two"),
    ],
)
def test_a_document_that_is_none_is_refused(document: Any, problem: str) -> None:
    assert _error(Kind.IDENTITY, document).startswith(f"policy streams: {problem}")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"Efect": "Allow"}, ": unknown element Efect: did you mean Effect?"),
        ({"Effect": "allow"}, ", Effect: 'allow' is neither Allow nor Deny"),
        ({"Effect": None}, ", Effect: None is neither Allow nor Deny"),
        ({"Sid": "a b"}, ", Sid: 'a b' has other characters than letters and digits"),
        ({"Action": None}, ": it has no Action: name one"),
        ({"Action": []}, ", Action: the list is empty: name one, or remove it"),
        ({"Action": ""}, ", Action: '' is not an action: write <service>:<action>, such as s3:GetObject or s3:Get*"),
        ({"Action": ["s3:GetObject", "PutObject"]}, ", Action: 'PutObject' is not an action: write <service>:<action>"),
        ({"Action": 7}, ", Action: 7 is not a string"),
        ({"NotAction": "s3:GetObject"}, ": it has Action and NotAction: keep one"),
        ({"Resource": None}, ": it has no Resource: name one"),
        ({"Resource": []}, ", Resource: the list is empty"),
        ({"Resource": "landing"}, ", Resource: 'landing' is not an ARN: write arn:<partition>"),
        ({"Resource": None, "NotResource": "arn:aws"}, ", NotResource: 'arn:aws' is not an ARN"),
        ({"NotResource": "*"}, ": it has Resource and NotResource: keep one"),
        ({"Resource": {"Fn::GetAtt": ["B", "Arn"]}}, ", Resource: {'Fn::GetAtt': ['B', 'Arn']} is not a string"),
        ({"Principal": "*"}, ", Principal: an identity policy has none: its principal is the role that has it"),
        ({"NotPrincipal": "*"}, ", NotPrincipal: an identity policy has none"),
        ({"Condition": []}, ", Condition: it is not an object of operators"),
        ({"Condition": {"StringLikes": {"s3:prefix": "a"}}}, ", Condition.StringLikes: unknown operator: did you mean"),
        ({"Condition": {"StringLike": []}}, ", Condition.StringLike: it is not an object of condition keys"),
        ({"Condition": {"StringLike": {"s3:prefx": "a"}}}, ", Condition.StringLike.s3:prefx: unknown condition key"),
        ({"Condition": {"StringLike": {"s3:prefix": []}}}, ", Condition.StringLike.s3:prefix: the list is empty"),
        (
            {"Condition": {"StringLike": {"s3:prefix": [None]}}},
            ", Condition.StringLike.s3:prefix: None is not a string",
        ),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": "no"}}},
            ", Condition.Bool.aws:SecureTransport: 'no' is neither",
        ),
    ],
)
def test_a_statement_that_is_not_understood_is_refused(changed: dict[str, Any], problem: str) -> None:
    sid = changed.get("Sid", "Deliver")
    assert _statement_error(**changed).startswith(f"policy streams, statement {sid}{problem}")


def test_a_statement_without_a_sid_is_named_by_its_number() -> None:
    second = {name: value for name, value in STATEMENT.items() if name != "Sid"} | {"Effect": "Maybe"}
    assert _error(Kind.IDENTITY, _document(STATEMENT, second)).startswith("policy streams, statement 2, Effect: ")
    assert _error(Kind.IDENTITY, _document("Allow")) == "policy streams, statement 1: 'Allow' is not an object"


def test_a_sid_is_there_once() -> None:
    text = _error(Kind.IDENTITY, _document(STATEMENT, STATEMENT))
    assert text == "policy streams, statement Deliver: two statements have this Sid: rename one"


@pytest.mark.parametrize(
    ("principal", "problem"),
    [
        ("arn:aws:iam::123456789012:root", """'arn:aws:iam::123456789012:root' is neither "*" nor an object with"""),
        ({}, """{} is neither "*" nor an object with AWS or Service"""),
        ({"Federated": "cognito-identity.amazonaws.com"}, "principals of the kind Federated are not supported"),
        ({"AWS": "*", "CanonicalUser": "79a5"}, "principals of the kind CanonicalUser are not supported by the twin"),
        ({"AWS": []}, "the list is empty"),
        ({"AWS": "12345"}, "'12345' is not a principal: write *, an account's twelve digits, or the ARN"),
        ({"AWS": "arn:aws:iam::123456789012:role/*"}, "'arn:aws:iam::123456789012:role/*' is not a principal"),
        ({"AWS": "arn:aws:sts::123456789012:assumed-role/r/*"}, "is not a principal"),
        ({"AWS": "arn:aws:iam::123456789012:group/g"}, "is not a principal"),
        ({"Service": "lambda"}, "'lambda' is not a service: write <name>.amazonaws.com"),
        ({"Service": "*"}, "'*' is not a service: write <name>.amazonaws.com"),
    ],
)
def test_a_principal_that_is_not_understood_is_refused(principal: Any, problem: str) -> None:
    """ "You cannot use a wildcard to match part of a principal name or ARN" (reference_policies_elements_principal)."""
    text = _statement_error(Kind.RESOURCE, Principal=principal)
    assert text.startswith("policy streams, statement 1, Principal: ") and problem in text


@pytest.mark.parametrize(
    ("kind", "changed", "problem"),
    [
        (
            Kind.RESOURCE,
            {"Principal": None},
            ": it has no Principal, which a resource-based policy needs: name who may",
        ),
        (Kind.TRUST, {"Principal": None}, ": it has no Principal, which a role trust policy needs: name who may"),
        (Kind.RESOURCE, {"NotPrincipal": "*"}, ": it has Principal and NotPrincipal: keep one"),
        # reference_policies_elements_notprincipal.html: only with Deny
        (Kind.RESOURCE, {"Principal": None, "NotPrincipal": "*"}, ", NotPrincipal: AWS supports it with Effect Deny"),
        (Kind.TRUST, {"Resource": "*"}, ", Resource: a trust policy has none: its resource is the role that has it"),
        (Kind.TRUST, {"Action": "s3:GetObject"}, ", Action: s3:GetObject is not an action of sts"),
        (Kind.TRUST, {"Action": "*"}, ", Action: * is not an action of sts"),
    ],
)
def test_each_kind_of_policy_has_its_own_elements(kind: Kind, changed: dict[str, Any], problem: str) -> None:
    assert _statement_error(kind, **changed).startswith(f"policy streams, statement 1{problem}")


def test_an_error_keeps_problem_and_place_apart() -> None:
    with pytest.raises(PolicyError) as caught:
        identity_policy("streams", _document({**STATEMENT, "Effect": "no"}))
    assert caught.value.place == "policy streams, statement Deliver, Effect"
    assert caught.value.problem == "'no' is neither Allow nor Deny"


def test_a_policy_error_is_a_value_error() -> None:
    assert issubclass(PolicyError, ValueError)


def test_policies_can_be_compared() -> None:
    first: Policy = trust_policy("t", _document(TRUST))
    assert first == trust_policy("t", _document(TRUST))
    assert first != trust_policy("t", _document({**TRUST, "Principal": {"Service": "sqs.amazonaws.com"}}))
