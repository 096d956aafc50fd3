"""The role of ingest_feedback: every call that its code makes, on the items that it may touch, and nothing more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.infra.conftest import Built

USHER = Path(__file__).parents[2] / "layers/core/python/usher"
#: The write path: its own package, and the stored entities that it reads and writes.
CODE = [
    *(USHER / "feedback").glob("*.py"),
    *(USHER / "store" / f"{name}.py" for name in ("events", "exposures", "profiles")),
]
#: boto3's method → IAM's action.
CALLS = {
    "put_item": "dynamodb:PutItem",
    "update_item": "dynamodb:UpdateItem",
    "get_item": "dynamodb:GetItem",
    "put_record_batch": "firehose:PutRecordBatch",
}


@pytest.fixture
def statements(built: Built) -> list[dict[str, Any]]:
    (policy,) = built.resources["IngestFeedbackRole"]["Properties"]["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def actions(statement: dict[str, Any]) -> set[str]:
    named = statement["Action"]
    return {named} if isinstance(named, str) else set(named)


def test_the_role_allows_exactly_the_calls_of_the_code(statements: list[dict[str, Any]]) -> None:
    source = "".join(path.read_text() for path in CODE)
    made = {action for method, action in CALLS.items() if re.search(rf"\.{method}\b", source)}
    allowed = set().union(*map(actions, statements))
    assert made == set(CALLS.values())
    assert allowed == made | {"secretsmanager:GetSecretValue", "logs:CreateLogStream", "logs:PutLogEvents"}


def test_feedback_writes_events_profiles_and_exposures_and_only_reads_router_and_experiment(
    statements: list[dict[str, Any]],
) -> None:
    may: dict[str, set[str]] = {}
    for statement in statements:
        if any(action.startswith("dynamodb:") for action in actions(statement)):
            for key in statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]:
                may.setdefault(key, set()).update(action.removeprefix("dynamodb:") for action in actions(statement))
    assert may == {
        "EVENT#*": {"PutItem"},
        "USER#*": {"GetItem", "UpdateItem"},
        "ROUTER": {"GetItem"},
        "EXPERIMENT#*": {"GetItem"},
    }


def test_feedback_forwards_only_to_the_streams_of_ratings_and_events(
    built: Built, statements: list[dict[str, Any]]
) -> None:
    (statement,) = [one for one in statements if "firehose:PutRecordBatch" in actions(one)]
    named = {arn["Fn::Sub"].rpartition("/")[2] for arn in statement["Resource"]}
    streams = {
        body["DeliveryStreamName"]["Fn::Sub"] for body in built.of_type("AWS::KinesisFirehose::DeliveryStream").values()
    }
    assert named == {"${AWS::StackName}-ratings", "${AWS::StackName}-events"}
    assert named <= streams
