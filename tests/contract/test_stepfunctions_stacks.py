"""State machines and what runs build on, as resources of a stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Client = Callable[[str], Any]
Eventually = Callable[..., Any]
ROLE = "arn:aws:iam::123456789012:role/r"
TEXT = json.dumps(
    {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": "${Said}", "End": True}}}
)


@pytest.fixture
def stack(client: Client, eventually: Eventually) -> Callable[..., dict[str, Any]]:
    """`stack(resources, update=False)`: the stack once it is at rest, with its resources' ids."""
    cloudformation = client("cloudformation")

    def rest() -> Any:
        found = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
        return None if found["StackStatus"].endswith("IN_PROGRESS") else found

    def deploy(resources: dict[str, Any], update: bool = False) -> dict[str, Any]:
        body = json.dumps({"Resources": resources})
        (cloudformation.update_stack if update else cloudformation.create_stack)(StackName="s", TemplateBody=body)
        found: dict[str, Any] = eventually(rest, seconds=60)
        listed = cloudformation.list_stack_resources(StackName="s")["StackResourceSummaries"]
        return found | {"ids": {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}}

    return deploy


def _machine(**properties: Any) -> dict[str, Any]:
    return {"M": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"RoleArn": ROLE, **properties}}}


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"DefinitionString": TEXT}, "DefinitionSubstitutions has no Said"),
        ({}, "give exactly one of"),
        ({"DefinitionString": TEXT, "DefinitionS3Location": {}}, "give exactly one of"),
        ({"DefinitionS3Location": {"Bucket": "none", "Key": "k"}}, "s3://none/k cannot be read"),
        ({"DefinitionString": '{"StartAt": "A", "States": {}}'}, "no States"),
        ({"DefinitionString": "{}", "Colour": "red"}, "Colour is not supported"),
    ],
)
def test_a_machine_that_cannot_be_made_fails_its_stack_with_the_reason(
    stack: Callable[..., dict[str, Any]], client: Client, properties: dict[str, Any], words: str
) -> None:
    assert stack(_machine(**properties))["StackStatus"] == "ROLLBACK_COMPLETE"
    events = client("cloudformation").describe_stack_events(StackName="s")["StackEvents"]
    assert any(words in event.get("ResourceStatusReason", "") for event in events)


def test_a_definition_in_the_bucket_gets_its_substitutions_and_runs(
    stack: Callable[..., dict[str, Any]], client: Client, execute: Any
) -> None:
    client("s3").create_bucket(Bucket="definitions", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client("s3").put_object(Bucket="definitions", Key="d.json", Body=TEXT)
    place = {"Bucket": "definitions", "Key": "d.json"}
    made = stack(_machine(DefinitionS3Location=place, DefinitionSubstitutions={"Said": "once"}, StateMachineName="m"))
    machine = made["ids"]["M"]
    assert machine.endswith(":stateMachine:m")
    assert execute.finished(execute.start(machine))["output"] == "once"
    changed = _machine(DefinitionS3Location=place, DefinitionSubstitutions={"Said": "twice"}, StateMachineName="m")
    assert stack(changed, update=True)["ids"]["M"] == machine
    assert execute.finished(execute.start(machine))["output"] == "twice"


def test_what_a_run_builds_on_is_made_and_goes_with_the_stack(
    stack: Callable[..., dict[str, Any]], client: Client, eventually: Eventually
) -> None:
    build = {
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Environment": {"Type": "LINUX_CONTAINER", "ComputeType": "BUILD_GENERAL1_SMALL", "Image": "i"},
        "ServiceRole": ROLE,
        "Source": {"Type": "S3", "Location": "b/source.zip", "BuildSpec": "version: 0.2"},
    }
    resources = {
        "Group": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "g"}},
        "Images": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "u/usher-recommender"}},
        "Build": {"Type": "AWS::CodeBuild::Project", "Properties": build},
    }
    made = stack(resources)
    assert made["StackStatus"] == "CREATE_COMPLETE"
    assert client("sagemaker").describe_model_package_group(ModelPackageGroupName="g")["ModelPackageGroupStatus"]
    assert client("ecr").describe_repositories()["repositories"][0]["repositoryName"] == "u/usher-recommender"
    assert client("codebuild").list_projects()["projects"] == [made["ids"]["Build"]]
    client("cloudformation").delete_stack(StackName="s")
    eventually(lambda: client("codebuild").list_projects()["projects"] == [], seconds=60)
    eventually(lambda: client("ecr").describe_repositories()["repositories"] == [])
