"""Whether a resource policy permits a service to deliver."""

from __future__ import annotations

from typing import Any

import pytest

from twin.events.permissions import Caller, permitted

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:inbox"
RULE = "arn:aws:events:eu-west-1:123456789012:rule/landing"
ALLOW: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": QUEUE,
    "Condition": {"ArnEquals": {"aws:SourceArn": RULE}},
}
INSECURE: dict[str, Any] = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": QUEUE,
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def _permitted(*statements: dict[str, Any]) -> bool:
    return permitted(list(statements), "sqs:SendMessage", QUEUE, Caller("events.amazonaws.com", RULE))


@pytest.mark.parametrize(
    "statements",
    [
        (),
        ({**ALLOW, "Principal": {"Service": "s3.amazonaws.com"}},),
        ({**ALLOW, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}},),
        ({**ALLOW, "Action": "sqs:ReceiveMessage"},),
        ({**ALLOW, "Resource": f"{QUEUE}-other"},),
        ({**ALLOW, "Condition": {"ArnEquals": {"aws:SourceArn": "arn:other"}}},),
        ({**ALLOW, "Condition": {"StringEquals": {"aws:SourceAccount": "210987654321"}}},),
        (ALLOW, {**INSECURE, "Condition": {}}),
        (ALLOW, {**INSECURE, "Condition": {"StringNotEquals": {"aws:SourceAccount": "210987654321"}}}),
    ],
)
def test_a_policy_that_does_not_match_permits_nothing(statements: tuple[dict[str, Any], ...]) -> None:
    assert not _permitted(*statements)


@pytest.mark.parametrize(
    "statements",
    [
        (ALLOW,),
        (ALLOW, INSECURE),
        ({**ALLOW, "Principal": "*", "Condition": {}},),
        ({**ALLOW, "Principal": {"Service": ["s3.amazonaws.com", "events.amazonaws.com"]}},),
        ({**ALLOW, "Action": ["SQS:*"], "Resource": "*"},),
        ({**ALLOW, "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:events:*:*:rule/*"}}},),
        ({**ALLOW, "Condition": {"StringEquals": {"aws:SourceAccount": ["1", "123456789012"]}}},),
        ({**ALLOW, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},),
    ],
)
def test_a_policy_that_matches_permits_the_service(statements: tuple[dict[str, Any], ...]) -> None:
    assert _permitted(*statements)
