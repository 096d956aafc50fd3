"""Which resources of a stack belong to it."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.stub import Stubber

from cli.deployments import inventory

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/usher/1"
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def _event(logical: str, physical: str, status: str) -> dict[str, Any]:
    fixed = {"StackId": STACK, "EventId": f"{logical}-{status}", "StackName": "usher", "Timestamp": NOW}
    return {**fixed, "LogicalResourceId": logical, "PhysicalResourceId": physical, "ResourceStatus": status}


def _summary(logical: str, physical: str, status: str) -> dict[str, Any]:
    fixed = {"ResourceType": "AWS::S3::Bucket", "LastUpdatedTimestamp": NOW}
    return {**fixed, "LogicalResourceId": logical, "PhysicalResourceId": physical, "ResourceStatus": status}


def test_a_bucket_that_a_failed_creation_did_not_make_is_not_the_stacks() -> None:
    client: Any = boto3.client(
        "cloudformation", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="s"
    )
    events = [
        _event("LandingBucket", "shop-orders", "CREATE_FAILED"),  # the name was taken
        _event("LakeBucket", "usher-lake", "CREATE_COMPLETE"),
    ]
    resources = [
        _summary("LandingBucket", "shop-orders", "DELETE_SKIPPED"),
        _summary("LakeBucket", "usher-lake", "DELETE_SKIPPED"),
        _summary("Gone", "usher-gone", "DELETE_COMPLETE"),
    ]
    with Stubber(client) as stub:
        stub.add_response("describe_stack_events", {"StackEvents": events}, {"StackName": "usher"})
        stub.add_response("list_stack_resources", {"StackResourceSummaries": resources}, {"StackName": "usher"})
        target: Any = SimpleNamespace(stack_name="usher", client=lambda _: client)
        assert dict(inventory._resources(target)) == {"LakeBucket": "usher-lake"}
