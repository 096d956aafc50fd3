"""Every resource type of the twin is created with few properties, changed and removed, and refuses unknown ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests import roles
from twin.cloudformation.resource_types import RESOURCE_TYPES

Client = Callable[[str], Any]

DEADLINE_SECONDS = 60.0
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
OPEN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
TRUST = json.loads(roles.document(roles.trust()))
ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
QUEUE = {"Type": "AWS::SQS::Queue"}
CODE = {"S3Bucket": "code", "S3Key": "app.zip"}
FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {"Runtime": "python3.13", "Handler": "app.handler", "Role": {"Fn::GetAtt": "R.Arn"}, "Code": CODE},
}
BEFORE_FUNCTION = {"R": ROLE, "F": FUNCTION}
MACHINE = '{"StartAt": "NAME", "States": {"NAME": {"Type": "Succeed"}}}'
HTTP_API = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "api", "ProtocolType": "HTTP"}}
INTEGRATION = {
    "ApiId": {"Ref": "Http"},
    "IntegrationType": "AWS_PROXY",
    "IntegrationUri": "arn:aws:lambda:eu-west-1:123456789012:function:f",
    "PayloadFormatVersion": "2.0",
}
# Type → the resources that it needs, the least properties, and properties of an update.
TYPES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "AWS::S3::Bucket": ({}, {}, {"VersioningConfiguration": {"Status": "Enabled"}}),
    "AWS::S3::BucketPolicy": (
        {"B": {"Type": "AWS::S3::Bucket"}},
        {"Bucket": {"Ref": "B"}, "PolicyDocument": OPEN},
        {"PolicyDocument": {**OPEN, "Id": "second"}},
    ),
    "AWS::SQS::Queue": ({}, {}, {"DelaySeconds": 5}),
    "AWS::SQS::QueuePolicy": (
        {"Q": QUEUE},
        {"Queues": [{"Ref": "Q"}], "PolicyDocument": OPEN},
        {"PolicyDocument": OPEN | {"Id": "i"}},
    ),
    "AWS::Events::Rule": ({}, {"EventPattern": {"source": ["a"]}}, {"Description": "d", "State": "DISABLED"}),
    "AWS::DynamoDB::Table": (
        {},
        {
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "g", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "first",
                    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        },
        {
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        },
    ),
    "AWS::Glue::Database": (
        {},
        {"CatalogId": {"Ref": "AWS::AccountId"}, "DatabaseInput": {"Name": "d"}},
        {"DatabaseInput": {"Name": "d", "Description": "x"}},
    ),
    "AWS::Athena::WorkGroup": (
        {},
        {"Name": "w", "RecursiveDeleteOption": True, "WorkGroupConfiguration": {"EnforceWorkGroupConfiguration": True}},
        {"Description": "d", "WorkGroupConfiguration": {"ResultConfiguration": {"OutputLocation": "s3://b/a/"}}},
    ),
    "AWS::KinesisFirehose::DeliveryStream": (
        {"B": {"Type": "AWS::S3::Bucket"}, "R": ROLE},
        {
            "ExtendedS3DestinationConfiguration": {
                "BucketARN": {"Fn::GetAtt": "B.Arn"},
                "RoleARN": {"Fn::GetAtt": "R.Arn"},
            }
        },
        {
            "ExtendedS3DestinationConfiguration": {
                "BucketARN": {"Fn::GetAtt": "B.Arn"},
                "RoleARN": {"Fn::GetAtt": "R.Arn"},
                "Prefix": "in/",
            }
        },
    ),
    "AWS::Logs::LogStream": (
        {"G": {"Type": "AWS::Logs::LogGroup"}},
        {"LogGroupName": {"Ref": "G"}},
        {"LogStreamName": "s"},
    ),
    "AWS::Logs::LogGroup": ({}, {}, {"RetentionInDays": 3}),
    "AWS::CloudWatch::Alarm": (
        {},
        {
            **{"Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1},
            **{"Threshold": 0, "ComparisonOperator": "GreaterThanThreshold"},
        },
        {"Threshold": 1.5},
    ),
    "AWS::CloudWatch::Dashboard": ({}, {"DashboardBody": '{"widgets": []}'}, {"DashboardBody": '{"start": "-PT3H"}'}),
    "AWS::IAM::Role": ({}, ROLE["Properties"], {"Policies": [{"PolicyName": "p", "PolicyDocument": DOCUMENT}]}),  # type: ignore[dict-item]
    "AWS::SecretsManager::Secret": ({}, {"GenerateSecretString": {"PasswordLength": 40}}, {"Description": "d"}),
    "AWS::Lambda::Function": (
        {"R": ROLE},
        FUNCTION["Properties"],
        {"MemorySize": 256, "Code": {"S3Bucket": "code", "S3Key": "other.zip"}},
    ),  # type: ignore[dict-item]
    "AWS::Lambda::Permission": (
        BEFORE_FUNCTION,
        {"FunctionName": {"Ref": "F"}, "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"},
        {"Principal": "s3.amazonaws.com"},
    ),
    "AWS::Lambda::LayerVersion": (
        {},
        {"Content": CODE},
        {"Description": "d"},
    ),
    "AWS::Lambda::EventSourceMapping": (
        {**BEFORE_FUNCTION, "Q": QUEUE},
        {"FunctionName": {"Ref": "F"}, "EventSourceArn": {"Fn::GetAtt": "Q.Arn"}},
        {"BatchSize": 5},
    ),
    "AWS::StepFunctions::StateMachine": (
        {"R": ROLE},
        {"RoleArn": {"Fn::GetAtt": "R.Arn"}, "DefinitionString": MACHINE.replace("NAME", "One")},
        {"DefinitionString": MACHINE.replace("NAME", "Two")},
    ),
    "AWS::SageMaker::ModelPackageGroup": ({}, {"ModelPackageGroupName": "g"}, {"ModelPackageGroupName": "h"}),
    "AWS::ECR::Repository": ({}, {"EmptyOnDelete": True}, {"RepositoryName": "other"}),
    "AWS::CodeBuild::Project": (
        {"R": ROLE},
        {
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Environment": {
                "ComputeType": "BUILD_GENERAL1_SMALL",
                "Image": "aws/codebuild/standard:7.0",
                "Type": "LINUX_CONTAINER",
            },
            "ServiceRole": {"Fn::GetAtt": "R.Arn"},
            "Source": {"Type": "S3", "Location": "b/k.zip"},
        },
        {"Name": "other"},
    ),
    "AWS::ApiGatewayV2::Api": ({}, {"Name": "api", "ProtocolType": "HTTP"}, {"Description": "d"}),
    "AWS::ApiGatewayV2::Integration": ({"Http": HTTP_API}, INTEGRATION, {"TimeoutInMillis": 5000}),
    "AWS::ApiGatewayV2::Route": (
        {"Http": HTTP_API},
        {"ApiId": {"Ref": "Http"}, "RouteKey": "GET /a"},
        {"AuthorizationType": "AWS_IAM"},
    ),
    "AWS::ApiGatewayV2::Stage": (
        {"Http": HTTP_API},
        {"ApiId": {"Ref": "Http"}, "StageName": "$default", "AutoDeploy": True},
        {"DefaultRouteSettings": {"ThrottlingRateLimit": 5}},
    ),
}


@pytest.fixture(autouse=True)
def _code(client: Client, archive: Callable[..., bytes]) -> None:
    """The bucket with the code of functions and layers."""
    client("s3").create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key, source in (("app.zip", "def handler(event, context): pass"), ("other.zip", "handler = None")):
        client("s3").put_object(Bucket="code", Key=key, Body=archive({"app.py": source}))


def _settled(client: Client, identity: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        stack: dict[str, Any] = client("cloudformation").describe_stacks(StackName=identity)["Stacks"][0]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            return stack
        time.sleep(0.02)
    pytest.fail(f"the stack is still {stack['StackStatus']}")


def _body(kind: str, **properties: Any) -> str:
    before, least, _ = TYPES[kind]
    it = {"Type": kind, "Properties": {**least, **properties}, "DependsOn": list(before)}
    return json.dumps({"Resources": {**before, "It": it}})


def test_every_type_is_here() -> None:
    assert set(TYPES) == set(RESOURCE_TYPES)


@pytest.mark.parametrize("kind", TYPES)
def test_a_resource_of_each_type_is_created_changed_and_removed(client: Client, kind: str) -> None:
    cloudformation = client("cloudformation")
    identity = cloudformation.create_stack(StackName="s", TemplateBody=_body(kind))["StackId"]
    stack = _settled(client, identity)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack.get("StackStatusReason")
    cloudformation.update_stack(StackName="s", TemplateBody=_body(kind, **TYPES[kind][2]))
    stack = _settled(client, identity)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", stack.get("StackStatusReason")
    cloudformation.update_stack(StackName="s", TemplateBody=_body(kind))
    stack = _settled(client, identity)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", stack.get("StackStatusReason")
    cloudformation.delete_stack(StackName="s")
    stack = _settled(client, identity)
    assert stack["StackStatus"] == "DELETE_COMPLETE", stack.get("StackStatusReason")


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_refuses_an_unknown_property(client: Client, kind: str) -> None:
    identity = client("cloudformation").create_stack(StackName="s", TemplateBody=_body(kind, Nonsense="x"))["StackId"]
    stack = _settled(client, identity)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "It (" in stack["StackStatusReason"]
    assert "Nonsense is not supported by the twin" in stack["StackStatusReason"]


def test_a_missing_property_is_named(client: Client) -> None:
    body = json.dumps({"Resources": {"It": {"Type": "AWS::SQS::QueuePolicy", "Properties": {}}}})
    identity = client("cloudformation").create_stack(StackName="s", TemplateBody=body)["StackId"]
    assert _settled(client, identity)["StackStatusReason"] == "It (AWS::SQS::QueuePolicy): property Queues is missing"


def test_a_workgroup_is_updated(client: Client) -> None:
    athena = client("athena")
    athena.create_work_group(Name="w", Configuration={"ResultConfiguration": {"OutputLocation": "s3://b/a/"}})
    updates = {"EnforceWorkGroupConfiguration": False, "ResultConfigurationUpdates": {"OutputLocation": "s3://b/b/"}}
    athena.update_work_group(WorkGroup="w", Description="d", State="DISABLED", ConfigurationUpdates=updates)
    group = athena.get_work_group(WorkGroup="w")["WorkGroup"]
    assert (group["Description"], group["State"]) == ("d", "DISABLED")
    assert group["Configuration"]["ResultConfiguration"] == {"OutputLocation": "s3://b/b/"}
    assert group["Configuration"]["EnforceWorkGroupConfiguration"] is False
    with pytest.raises(athena.exceptions.InvalidRequestException):
        athena.update_work_group(WorkGroup="none")
