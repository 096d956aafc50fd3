"""Every resource type of the twin: made with the least it needs, deaf to nothing that it does not know, and removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from twin.cloudformation.kinds import KINDS

Client = Callable[[str], Any]

DEADLINE_SECONDS = 60.0
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
OPEN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}
ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
QUEUE = {"Type": "AWS::SQS::Queue"}
TOPIC = {"Type": "AWS::SNS::Topic"}
CODE = {"ZipFile": "def handler(event, context): pass"}
FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {"Runtime": "python3.13", "Handler": "index.handler", "Role": {"Fn::GetAtt": "R.Arn"}, "Code": CODE},
}
BEFORE_FUNCTION = {"R": ROLE, "F": FUNCTION}
TARGET = {"Arn": {"Fn::GetAtt": "Q.Arn"}, "RoleArn": {"Fn::GetAtt": "R.Arn"}}
MACHINE = '{"StartAt": "NAME", "States": {"NAME": {"Type": "Succeed"}}}'
HTTP_API = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "api", "ProtocolType": "HTTP"}}
INTEGRATION = {
    "ApiId": {"Ref": "Http"},
    "IntegrationType": "AWS_PROXY",
    "IntegrationUri": "arn:aws:lambda:eu-west-1:123456789012:function:f",
    "PayloadFormatVersion": "2.0",
}
ANSWER = """
import json, urllib.request
def handler(event, context):
    ids = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body = json.dumps({"Status": "SUCCESS", "PhysicalResourceId": "made", **ids}).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data=body, method="PUT"))
"""

# Type → what it stands on, the least properties, and properties of an update (None: it is replaced by that).
TYPES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "AWS::S3::Bucket": ({}, {}, {"VersioningConfiguration": {"Status": "Enabled"}}),
    "AWS::S3::BucketPolicy": (
        {"B": {"Type": "AWS::S3::Bucket"}},
        {"Bucket": {"Ref": "B"}, "PolicyDocument": DOCUMENT},
        {"PolicyDocument": {**DOCUMENT, "Id": "second"}},
    ),
    "AWS::SQS::Queue": ({}, {}, {"DelaySeconds": 5, "Tags": [{"Key": "a", "Value": "b"}]}),
    "AWS::SQS::QueuePolicy": (
        {"Q": QUEUE},
        {"Queues": [{"Ref": "Q"}], "PolicyDocument": OPEN},
        {"PolicyDocument": OPEN | {"Id": "i"}},
    ),
    "AWS::SNS::Topic": ({}, {}, {"DisplayName": "d"}),
    "AWS::SNS::TopicPolicy": (
        {"T": TOPIC},
        {"Topics": [{"Ref": "T"}], "PolicyDocument": OPEN},
        {"PolicyDocument": OPEN | {"Id": "i"}},
    ),
    "AWS::SNS::Subscription": (
        {"T": TOPIC, "Q": QUEUE},
        {"TopicArn": {"Ref": "T"}, "Protocol": "sqs", "Endpoint": {"Fn::GetAtt": "Q.Arn"}},
        {"RawMessageDelivery": True},
    ),
    "AWS::Events::Rule": ({}, {"EventPattern": {"source": ["a"]}}, {"Description": "d", "State": "DISABLED"}),
    "AWS::Events::EventBus": ({}, {"Name": "bus"}, {"Name": "other-bus"}),
    "AWS::Scheduler::ScheduleGroup": ({}, {}, {"Name": "group"}),
    "AWS::Scheduler::Schedule": (
        {"Q": QUEUE, "R": ROLE},
        {"FlexibleTimeWindow": {"Mode": "OFF"}, "ScheduleExpression": "rate(1 hour)", "Target": TARGET},
        {"ScheduleExpression": "rate(2 hours)"},
    ),
    "AWS::DynamoDB::Table": (
        {},
        {
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "g", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "SSESpecification": {"SSEEnabled": True},
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
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "second",
                    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
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
    "AWS::Athena::NamedQuery": ({}, {"Database": "d", "QueryString": "select 1"}, {"QueryString": "select 2"}),
    "AWS::KinesisFirehose::DeliveryStream": (
        {"B": {"Type": "AWS::S3::Bucket"}, "R": ROLE},
        {
            "ExtendedS3DestinationConfiguration": {
                "BucketARN": {"Fn::GetAtt": "B.Arn"},
                "RoleARN": {"Fn::GetAtt": "R.Arn"},
            }
        },
        {"DeliveryStreamEncryptionConfigurationInput": {"KeyType": "AWS_OWNED_CMK"}},
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
    "AWS::IAM::Policy": (
        {"R": ROLE},
        {"PolicyName": "p", "PolicyDocument": DOCUMENT, "Roles": [{"Ref": "R"}]},
        {"PolicyName": "other"},
    ),
    "AWS::IAM::ManagedPolicy": (
        {"R": ROLE},
        {"PolicyDocument": DOCUMENT, "Roles": [{"Ref": "R"}]},
        {"PolicyDocument": {**DOCUMENT, "Id": "i"}},
    ),
    "AWS::SecretsManager::Secret": ({}, {"GenerateSecretString": {"PasswordLength": 40}}, {"Description": "d"}),
    "AWS::KMS::Key": ({}, {}, {"EnableKeyRotation": True, "Description": "d"}),
    "AWS::KMS::Alias": (
        {"K": {"Type": "AWS::KMS::Key"}, "L": {"Type": "AWS::KMS::Key"}},
        {"AliasName": "alias/a", "TargetKeyId": {"Ref": "K"}},
        {"TargetKeyId": {"Ref": "L"}},
    ),
    "AWS::SSM::Parameter": ({}, {"Type": "String", "Value": "v", "Name": "/a/b"}, {"Value": "w"}),
    "AWS::Lambda::Function": ({"R": ROLE}, FUNCTION["Properties"], {"MemorySize": 256, "Code": {"ZipFile": "pass"}}),  # type: ignore[dict-item]
    "AWS::Lambda::Version": (BEFORE_FUNCTION, {"FunctionName": {"Ref": "F"}}, {"Description": "d"}),
    "AWS::Lambda::Permission": (
        BEFORE_FUNCTION,
        {"FunctionName": {"Ref": "F"}, "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"},
        {"Principal": "s3.amazonaws.com"},
    ),
    "AWS::Lambda::LayerVersion": (
        BEFORE_FUNCTION,  # it leaves its archive in the twin's bucket
        {"Content": {"S3Bucket": "usher-twin-artifacts", "S3Key": "inline/s/F.zip"}},
        {"Description": "d"},
    ),
    "AWS::Lambda::EventSourceMapping": (
        {**BEFORE_FUNCTION, "Q": QUEUE},
        {"FunctionName": {"Ref": "F"}, "EventSourceArn": {"Fn::GetAtt": "Q.Arn"}},
        {"BatchSize": 5},
    ),
    "AWS::Lambda::Alias": (
        {**BEFORE_FUNCTION, "V": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "F"}}}},
        {"FunctionName": {"Ref": "F"}, "Name": "live", "FunctionVersion": {"Fn::GetAtt": "V.Version"}},
        {"Description": "d"},
    ),
    "AWS::Lambda::EventInvokeConfig": (
        BEFORE_FUNCTION,
        {"FunctionName": {"Ref": "F"}, "Qualifier": "$LATEST", "MaximumRetryAttempts": 1},
        {"MaximumRetryAttempts": 0},
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
    "AWS::ApiGatewayV2::Api": ({}, {"Name": "api", "ProtocolType": "HTTP"}, {"Description": "d", "Tags": {"a": "b"}}),
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
    "AWS::CloudFormation::CustomResource": (
        {"R": ROLE, "F": {**FUNCTION, "Properties": {**FUNCTION["Properties"], "Code": {"ZipFile": ANSWER}}}},  # type: ignore[dict-item]
        {"ServiceToken": {"Fn::GetAtt": "F.Arn"}},
        {"Size": 2},
    ),
}


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
    assert set(TYPES) == set(KINDS)


@pytest.mark.parametrize("kind", TYPES)
def test_a_resource_of_each_type_is_made_changed_and_removed(client: Client, kind: str) -> None:
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


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "AWS::CloudFormation::CustomResource"])
def test_no_type_takes_a_property_that_it_does_not_know(client: Client, kind: str) -> None:
    identity = client("cloudformation").create_stack(StackName="s", TemplateBody=_body(kind, Nonsense="x"))["StackId"]
    stack = _settled(client, identity)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "It (" in stack["StackStatusReason"]
    assert "Nonsense is not known to the twin" in stack["StackStatusReason"]


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


def test_a_named_query_is_deleted(client: Client) -> None:
    athena = client("athena")
    identity = athena.create_named_query(Name="n", Database="d", QueryString="select 1")["NamedQueryId"]
    athena.delete_named_query(NamedQueryId=identity)
    assert athena.list_named_queries()["NamedQueryIds"] == []
    with pytest.raises(athena.exceptions.InvalidRequestException):
        athena.delete_named_query(NamedQueryId=identity)
