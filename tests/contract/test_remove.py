"""`usher remove` and `usher adopt` on small stacks: failed creations, versions of objects, refusals in words."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.errors import explain
from cli.target import Target
from tests import roles
from twin import context

Client = Callable[[str], Any]

DEADLINE_SECONDS = 60.0
KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
VERSIONED = {"VersioningConfiguration": {"Status": "Enabled"}}
TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}
RESOURCES: dict[str, Any] = {
    "LandingBucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "landing", **VERSIONED}, **KEPT},
    "LakeBucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "lake"}, **KEPT},
    "StateTable": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "state", **TABLE}, **KEPT},
    "ModelPackageGroup": {
        "Type": "AWS::SageMaker::ModelPackageGroup",
        "Properties": {"ModelPackageGroupName": {"Ref": "AWS::StackName"}},
    },
}
BROKEN = {"Type": "AWS::SQS::Queue", "Properties": {"Nonsense": 1}, "DependsOn": list(RESOURCES)}


def create(client: Client, resources: dict[str, Any]) -> str:
    """Create the stack `usher`; its status once it is at rest."""
    body = {"Parameters": {"EndpointName": {"Type": "String", "Default": "usher"}}, "Resources": resources}
    client("cloudformation").create_stack(StackName="usher", TemplateBody=json.dumps(body))
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (status := stacks(client)["usher"]).endswith("IN_PROGRESS"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return status


def stacks(client: Client) -> dict[str, str]:
    return {one["StackName"]: one["StackStatus"] for one in client("cloudformation").describe_stacks()["Stacks"]}


def kept(client: Client) -> set[str]:
    buckets = {one["Name"] for one in client("s3").list_buckets()["Buckets"]}
    return {*client("dynamodb").list_tables()["TableNames"], *(buckets & {"landing", "lake"})}


@pytest.fixture
def run(server: Any) -> Callable[..., Result]:
    """`run("remove", …)`: the result of a command on the server."""
    session = boto3.Session(context.ACCESS_KEY, context.SECRET_KEY, None, "eu-west-1")
    target = Target(session, "usher", "the twin", endpoint=server.endpoint)

    def call(*arguments: object, typed: str = "") -> Result:
        return CliRunner().invoke(main.app, [str(one) for one in arguments], obj=target, input=typed)

    return call


def failure(result: Result) -> str:
    assert result.exit_code == 1 and result.exception is not None, result.output
    return explain(result.exception) or repr(result.exception)


def test_a_failed_creation_goes_away_with_its_empty_leftovers(client: Client, run: Any) -> None:
    assert create(client, {**RESOURCES, "X": BROKEN}) == "ROLLBACK_COMPLETE"
    assert kept(client) == {"landing", "lake", "state"}
    result = run("remove", "--yes")
    assert result.exit_code == 0, result.output
    assert "Deletes  bucket lake: 0 object versions" in result.output
    assert (kept(client), stacks(client)) == (set(), {})


def test_what_holds_data_is_kept_and_everything_deletes_all_versions(client: Client, run: Any) -> None:
    create(client, RESOURCES)
    for _ in range(2):
        client("s3").put_object(Bucket="landing", Key="k", Body=b"data")
    client("s3").delete_object(Bucket="landing", Key="k")
    client("s3").create_multipart_upload(Bucket="lake", Key="unfinished")
    asked = run("remove", typed="n\n")
    assert "nothing was removed" in failure(asked)
    assert "Keeps    bucket landing: 2 object versions" in asked.output
    assert stacks(client) == {"usher": "CREATE_COMPLETE"}
    result = run("remove", "--everything", typed="y\n")
    assert result.exit_code == 0, result.output
    assert (kept(client), stacks(client)) == (set(), {})


def test_the_registry_is_emptied_before_the_stack_is_deleted(client: Client, run: Any) -> None:
    create(client, RESOURCES)
    client("s3").put_object(Bucket="lake", Key="k", Body=b"data")
    container = {"Image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/usher-recommender:latest"}
    types = {"SupportedContentTypes": ["application/json"], "SupportedResponseMIMETypes": ["application/json"]}
    client("sagemaker").create_model_package(
        ModelPackageGroupName="usher", InferenceSpecification={"Containers": [container], **types}
    )
    role = roles.administrator("models")
    for name in ("usher-raaaaaaaaaa-1", "usher-raaaaaaaaaa-1-2", "usher-rather-mine", "other-raaaaaaaaaa-1"):
        client("sagemaker").create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    result = run("remove", "--yes")
    assert result.exit_code == 0, result.output
    models = {one["ModelName"] for one in client("sagemaker").list_models()["Models"]}
    assert models == {"usher-rather-mine", "other-raaaaaaaaaa-1"}, "only those that runs of this endpoint have made"
    assert (kept(client), stacks(client)) == ({"landing", "lake", "state"}, {})


def test_a_stack_that_does_not_exist_is_named(client: Client, run: Any) -> None:
    assert "stack other not found" in failure(run("remove", "other", "--yes"))


@pytest.mark.parametrize(("missing", "words"), [("landing", "bucket landing"), ("state", "table state")])
def test_what_cannot_be_adopted_is_named(client: Client, run: Any, missing: str, words: str, tmp_path: Path) -> None:
    for bucket in {"landing", "lake"} - {missing}:
        client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    names = ("--landing-bucket", "landing", "--lake-bucket", "lake", "--state-table", "state")
    result = run("adopt", *names, "--template", tmp_path / "template.yaml")
    assert f"{words} cannot be adopted" in failure(result)


def test_adopt_needs_a_built_template(client: Client, run: Any, tmp_path: Path) -> None:
    create(client, RESOURCES)
    client("s3").put_object(Bucket="lake", Key="k", Body=b"data")
    run("remove", "--yes")
    names = ("--landing-bucket", "landing", "--lake-bucket", "lake", "--state-table", "state")
    result = run("adopt", *names, "--template", tmp_path / "template.yaml")
    assert "run `make build` first" in failure(result)
