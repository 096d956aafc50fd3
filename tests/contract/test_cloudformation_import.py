"""A new stack takes over named resources that exist (ImportExistingResources); a failed one shows what it has kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

Client = Callable[[str], Any]

DEADLINE_SECONDS = 60.0
KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}
RESOURCES = {
    "B": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "kept"}, **KEPT},
    "T": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "kept", **TABLE}, **KEPT},
    "Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${T}-${B}"}}},
}
BROKEN = {"Type": "AWS::SQS::Queue", "Properties": {"Nonsense": 1}, "DependsOn": ["B", "T"]}


def _deploy(client: Client, name: str, resources: dict[str, Any], *, importing: bool) -> dict[str, Any]:
    """Create a stack by a change set; the stack once it is at rest."""
    cloudformation = client("cloudformation")
    body = json.dumps({"Resources": resources, "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["T", "Arn"]}}}})
    made = cloudformation.create_change_set(
        StackName=name,
        ChangeSetName="c",
        ChangeSetType="CREATE",
        TemplateBody=body,
        ImportExistingResources=importing,
    )
    cloudformation.execute_change_set(ChangeSetName=made["Id"])
    return _rest(client, name)


def _rest(client: Client, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        stack: dict[str, Any] = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            return stack
        time.sleep(0.05)
    pytest.fail(f"stack {name} is still {stack['StackStatus']}")


def _delete(client: Client, name: str) -> None:
    client("cloudformation").delete_stack(StackName=name)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while any(stack["StackName"] == name for stack in client("cloudformation").describe_stacks()["Stacks"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _statuses(client: Client, name: str) -> dict[str, str]:
    listed = client("cloudformation").list_stack_resources(StackName=name)["StackResourceSummaries"]
    return {one["LogicalResourceId"]: one["ResourceStatus"] for one in listed}


def test_a_new_stack_takes_over_what_an_older_one_has_kept(client: Client) -> None:
    first = _deploy(client, "first", RESOURCES, importing=True)
    client("s3").put_object(Bucket="kept", Key="k", Body=b"data")
    _delete(client, "first")
    second = _deploy(client, "second", RESOURCES, importing=True)
    assert first["StackStatus"] == second["StackStatus"] == "CREATE_COMPLETE"
    assert first["Outputs"][0]["OutputValue"] == second["Outputs"][0]["OutputValue"]
    assert _statuses(client, "second") == {"B": "IMPORT_COMPLETE", "T": "IMPORT_COMPLETE", "Q": "CREATE_COMPLETE"}
    assert client("s3").get_object(Bucket="kept", Key="k")["Body"].read() == b"data"


def test_without_the_import_a_name_that_is_taken_fails_the_stack(client: Client) -> None:
    _deploy(client, "first", RESOURCES, importing=False)
    _delete(client, "first")
    second = _deploy(client, "second", RESOURCES, importing=False)
    assert second["StackStatus"] == "ROLLBACK_COMPLETE"
    assert client("s3").list_objects_v2(Bucket="kept")["KeyCount"] == 0, "the bucket of the first stack is still there"


def test_only_what_the_stack_would_keep_is_imported(client: Client) -> None:
    client("s3").create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    bare = {"B": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "kept"}}, "T": RESOURCES["T"]}
    stack = _deploy(client, "s", bare, importing=True)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "needs the DeletionPolicy Retain" in stack["StackStatusReason"]
    assert client("s3").list_objects_v2(Bucket="kept")["KeyCount"] == 0


def test_a_failed_creation_shows_what_it_has_kept(client: Client) -> None:
    stack = _deploy(client, "s", {**RESOURCES, "X": BROKEN}, importing=False)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert _statuses(client, "s") == {"B": "DELETE_SKIPPED", "T": "DELETE_SKIPPED"}
    _delete(client, "s")
    assert client("dynamodb").list_tables()["TableNames"] == ["kept"]
