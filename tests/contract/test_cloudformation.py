"""Stacks on the twin behave as on AWS: they fail loudly, roll back, change what changed, and go away."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import roles

Client = Callable[[str], Any]

DEADLINE_SECONDS = 60.0
QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 60}}
GROUP = {"Type": "AWS::Logs::LogGroup"}
TRUST = json.loads(roles.document(roles.trust()))
POLICIES = [{"PolicyName": "all", "PolicyDocument": json.loads(roles.document(roles.EVERYTHING))}]
ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST, "Policies": POLICIES}}

CODE = """
Resources: {{Q: {{Type: AWS::SQS::Queue}}}}
Description: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ["{folder}/ran"]]
"""

ANSWER = """
import json, urllib.request
def handler(event, context):
    print(json.dumps(event))
    wanted = event["ResourceProperties"].get("Answer")
    if wanted == "silence":
        return
    if wanted == "crash" or event["RequestType"] in event["ResourceProperties"].get("CrashOn", []):
        raise ValueError("as asked")
    ids = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body = {"Status": "SUCCESS", "PhysicalResourceId": "made", "Data": {"Type": event["RequestType"]}, **ids}
    body = json.dumps({**body, **json.loads(wanted or "{}")}).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""})
    urllib.request.urlopen(request)
"""


def _stack(client: Client, name: str = "s") -> dict[str, Any]:
    """The stack once it is at rest."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        stack: dict[str, Any] = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            return stack
        time.sleep(0.05)
    pytest.fail(f"stack {name} is still {stack['StackStatus']}")


def _create(client: Client, resources: dict[str, Any], **rest: Any) -> dict[str, Any]:
    parameters = rest.pop("given", {})
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    body = json.dumps({"Resources": resources, **rest})
    identity = client("cloudformation").create_stack(StackName="s", TemplateBody=body, Parameters=given)["StackId"]
    return _stack(client, identity)


def _update(client: Client, resources: dict[str, Any], **rest: Any) -> dict[str, Any]:
    client("cloudformation").update_stack(StackName="s", TemplateBody=json.dumps({"Resources": resources, **rest}))
    return _stack(client)


def _events(client: Client, name: str = "s") -> list[tuple[str, str]]:
    events = client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(events)]


def _ids(client: Client) -> dict[str, str]:
    listed = client("cloudformation").list_stack_resources(StackName="s")["StackResourceSummaries"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in listed}


def _groups(client: Client) -> list[str]:
    return [group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]]


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _refused(client: Client, resources: dict[str, Any], **rest: Any) -> str:
    with pytest.raises(ClientError) as caught:
        _create(client, resources, **rest)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationError"
    assert client("cloudformation").describe_stacks()["Stacks"] == []
    return str(error["Message"])


# ── what cannot be deployed is refused, by name ──────────────────────────────────────────────────────────────────────


def test_an_unknown_type_is_refused_before_anything_is_made(client: Client) -> None:
    message = _refused(client, {"Q": QUEUE, "Strange": {"Type": "AWS::Braket::Device"}})
    assert message == "Strange: resource type AWS::Braket::Device is not supported by the twin"
    assert "QueueUrls" not in client("sqs").list_queues()


def test_an_unknown_property_fails_the_stack_and_rolls_it_back(client: Client) -> None:
    wrong = {"Type": "AWS::Logs::LogGroup", "Properties": {"Retention": 3}}
    stack = _create(client, {"Q": QUEUE, "Logs": {**wrong, "DependsOn": "Q"}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Logs (AWS::Logs::LogGroup).Retention is not supported by the twin" in stack["StackStatusReason"]
    assert ("Logs", "CREATE_FAILED") in _events(client)
    assert _events(client)[-2:] == [("Q", "DELETE_COMPLETE"), ("s", "ROLLBACK_COMPLETE")]
    assert "QueueUrls" not in client("sqs").list_queues()


@pytest.mark.parametrize(
    ("resources", "rest", "words"),
    [
        ({"Q": QUEUE, "P": {**QUEUE, "DependsOn": "Ghost"}}, {}, "P depends on Ghost"),
        ({"Q": {**QUEUE, "Properties": {"QueueName": {"Ref": "Ghost"}}}}, {}, "Q refers to Ghost"),
        ({"Q": {**QUEUE, "Properties": {"QueueName": {"Fn::Sub": "${Ghost.Arn}"}}}}, {}, "Q refers to Ghost"),
        ({"A": {**QUEUE, "DependsOn": "B"}, "B": {**QUEUE, "DependsOn": "A"}}, {}, "circular dependency"),
        ({"Q": {**QUEUE, "Condition": "C"}}, {}, "condition C is not defined"),
        ({"Q": {**QUEUE, "DeletionPolicy": "Maybe"}}, {}, "deletion policy Maybe"),
        ({"Q": {**QUEUE, "CreationPolicy": {}}}, {}, "Q: CreationPolicy is not supported"),
        ({"Q": QUEUE}, {"Transform": "AWS::Include"}, "transform AWS::Include is not supported"),
        ({"Q": QUEUE}, {"Surprise": {}}, "section Surprise of a template is not supported"),
        ({"Q": QUEUE}, {"Parameters": {"P": {"Type": "String"}}}, "parameter P has no value"),
        ({"Q": QUEUE}, {"given": {"P": "1"}}, "parameter P does not exist"),
        ({"Q": QUEUE}, {"Parameters": {"P": {"Type": "Number", "Default": 9, "MaxValue": 5}}}, "at most 5"),
        (
            {"Q": QUEUE},
            {"Parameters": {"P": {"Type": "String", "Default": "A", "AllowedPattern": "[a-z]"}}},
            "must match",
        ),
        ({"Q": QUEUE}, {"Parameters": {"P": {"Type": "String", "Default": "A", "AllowedValues": ["b"]}}}, "one of b"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_the_reason(
    client: Client, resources: dict[str, Any], rest: dict[str, Any], words: str
) -> None:
    assert words in _refused(client, resources, **rest)


def test_a_template_that_is_no_template_is_refused(client: Client) -> None:
    for body in (
        "{",
        "- a\n- b",
        "Resources: {}",
        "Resources:\n  Q: {Properties: {}}",
        "a: !!python/name:os.system ''",
    ):
        with pytest.raises(ClientError, match="ValidationError"):
            client("cloudformation").create_stack(StackName="s", TemplateBody=body)


def test_an_attribute_that_the_twin_does_not_know_fails_with_those_it_knows(client: Client) -> None:
    stack = _create(
        client,
        {"Q": QUEUE, "P": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::GetAtt": ["Q", "Size"]}}}},
    )
    assert "Q has no attribute Size in the twin; it has: Arn, QueueName, QueueUrl" in stack["StackStatusReason"]


def test_a_second_stack_of_a_name_is_refused(client: Client) -> None:
    _create(client, {"Q": QUEUE})
    with pytest.raises(ClientError, match="AlreadyExists"):
        _create(client, {"Q": QUEUE})


def test_a_stack_in_another_region_than_the_twins_is_refused(client: Client, server: Any) -> None:
    import boto3  # noqa: PLC0415

    elsewhere = boto3.client("cloudformation", region_name="us-east-1", endpoint_url=server.endpoint)
    with pytest.raises(ClientError, match="this twin is in eu-west-1"):
        elsewhere.create_stack(StackName="s", TemplateBody=json.dumps({"Resources": {"Q": QUEUE}}))


def test_a_template_cannot_run_code_when_it_is_summarised(client: Client, tmp_path: Path) -> None:
    body = CODE.format(folder=tmp_path)
    with pytest.raises(ClientError):
        client("cloudformation").get_template_summary(TemplateBody=body)
    assert not (tmp_path / "ran").exists()


def test_a_template_cannot_run_code_when_it_is_validated(client: Client, tmp_path: Path) -> None:
    body = CODE.format(folder=tmp_path)
    with pytest.raises(ClientError):
        client("cloudformation").validate_template(TemplateBody=body)
    assert not (tmp_path / "ran").exists()


def test_validating_a_template_names_its_parameters(client: Client) -> None:
    body = "Resources: {Q: {Type: AWS::SQS::Queue}}\nDescription: d\nParameters: {P: {Type: Number, Default: 5}}"
    valid = client("cloudformation").validate_template(TemplateBody=body)
    assert valid["Description"] == "d"
    assert [(one["ParameterKey"], one["DefaultValue"]) for one in valid["Parameters"]] == [("P", "5")]


# ── what is declared holds ───────────────────────────────────────────────────────────────────────────────────────────


def test_references_conditions_and_functions_resolve(client: Client) -> None:
    resources = {
        "Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${AWS::StackName}-q"}}},
        "No": {**QUEUE, "Condition": "Never"},
    }
    outputs = {
        "If": {"Value": {"Fn::If": ["Never", "yes", {"Fn::If": ["Always", "no", "yes"]}]}},
        "Joined": {"Value": {"Fn::Join": ["|", [{"Ref": "Q"}, {"Fn::GetAtt": "Q.Arn"}, {"Ref": "AWS::Region"}]]}},
        "Literal": {"Value": {"Fn::Sub": "${!kept} ${Size} ${Q.QueueName}"}},
        "Selected": {"Value": {"Fn::Select": ["1", {"Fn::Split": ["-", {"Fn::GetAtt": "Q.QueueName"}]}]}},
    }
    rest = {
        "Parameters": {"Size": {"Type": "Number", "Default": 5}, "On": {"Type": "String", "Default": "false"}},
        "Conditions": {
            "Never": {"Fn::Equals": [{"Ref": "On"}, True]},
            "Always": {"Fn::Not": [{"Fn::Equals": [{"Ref": "On"}, "true"]}]},
        },
        "Outputs": outputs,
    }
    stack = _create(client, resources, **rest)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    found = _outputs(stack)
    assert found.pop("Joined").endswith("/s-q|arn:aws:sqs:eu-west-1:123456789012:s-q|eu-west-1")
    assert found == {"If": "no", "Literal": "${kept} 5 s-q", "Selected": "q"}
    assert set(_ids(client)) == {"Q"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Fn::ImportValue": "x"}, "Fn::ImportValue is not supported by the twin"),
        ({"Fn::Sub": ["${x}", {"x": "q"}]}, "Fn::Sub with a list is not supported by the twin"),
        ({"Fn::Select": [1, {"Fn::Split": ["-", "x"]}]}, "Fn::Select cannot select nonexistent value at index 1"),
        ("{{resolve:ssm:x}}", "dynamic reference"),
    ],
)
def test_a_function_that_the_twin_does_not_support_fails_with_its_name(client: Client, value: Any, words: str) -> None:
    stack = _create(client, {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": value}}})
    assert words in stack["StackStatusReason"]


def test_a_setting_that_the_twin_does_not_support_is_refused(client: Client) -> None:
    body = json.dumps({"Resources": {"Q": QUEUE}})
    with pytest.raises(ClientError, match="TimeoutInMinutes is not supported by the twin"):
        client("cloudformation").create_stack(StackName="s", TemplateBody=body, TimeoutInMinutes=5)


def test_depends_on_orders_what_no_reference_orders(client: Client) -> None:
    resources = {"A": {**QUEUE, "DependsOn": ["B"]}, "B": {**QUEUE, "DependsOn": "C"}, "C": QUEUE}
    _create(client, resources)
    assert [name for name, status in _events(client) if status == "CREATE_COMPLETE"] == ["C", "B", "A", "s"]


def test_a_template_may_lie_in_a_bucket(client: Client, server: Any) -> None:
    client("s3").create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client("s3").put_object(Bucket="code", Key="a/t.json", Body=json.dumps({"Resources": {"Q": QUEUE}}).encode())
    for number, url in enumerate(
        (f"{server.endpoint}/code/a/t.json", "https://code.s3.eu-west-1.amazonaws.com/a/t.json")
    ):
        client("cloudformation").create_stack(StackName=f"s{number}", TemplateURL=url)
        assert _stack(client, f"s{number}")["StackStatus"] == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="upload the template first"):
        client("cloudformation").create_stack(StackName="t", TemplateURL=f"{server.endpoint}/code/none.json")


# ── a second deployment ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_update_changes_what_changed_and_leaves_the_rest_alone(client: Client) -> None:
    _create(client, {"Same": QUEUE, "Changed": QUEUE, "Gone": GROUP})
    before = _ids(client)
    changed = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 90}}
    stack = _update(client, {"Same": QUEUE, "Changed": changed, "New": GROUP})
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    after = _ids(client)
    assert (after["Same"], after["Changed"]) == (before["Same"], before["Changed"])
    assert set(after) == {"Same", "Changed", "New"}
    attributes = client("sqs").get_queue_attributes(QueueUrl=after["Changed"], AttributeNames=["VisibilityTimeout"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "90"
    assert _groups(client) == [after["New"]]
    update = _events(client)[_events(client).index(("s", "UPDATE_IN_PROGRESS")) :]
    assert not [status for name, status in update if name == "Same"]


def test_what_refers_to_a_replaced_resource_follows_it(client: Client) -> None:
    def template(name: str) -> dict[str, Any]:
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}],
        }
        value = {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Q"}], "PolicyDocument": policy}}
        return {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}, "P": value}

    _create(client, template("old"))
    before = _ids(client)
    _update(client, template("new"))
    after = _ids(client)
    assert before["Q"] != after["Q"]
    assert before["P"] == after["P"]
    found = client("sqs").get_queue_attributes(QueueUrl=after["Q"], AttributeNames=["Policy"])["Attributes"]
    assert '"Principal": "*"' in found["Policy"]
    assert client("sqs").list_queues()["QueueUrls"] == [after["Q"]]


def test_a_changed_parameter_reaches_what_uses_it_in_a_condition(client: Client) -> None:
    timeout = {"Fn::If": ["Slow", 90, 60]}
    resources = {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": timeout}}}
    rest = {
        "Parameters": {"Mode": {"Type": "String", "Default": "fast"}},
        "Conditions": {"Slow": {"Fn::Equals": [{"Ref": "Mode"}, "slow"]}},
    }
    _create(client, resources, **rest)
    body = json.dumps({"Resources": resources, **rest})
    given = [{"ParameterKey": "Mode", "ParameterValue": "slow"}]
    client("cloudformation").update_stack(StackName="s", TemplateBody=body, Parameters=given)
    _stack(client)
    url = _ids(client)["Q"]
    found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    assert found == {"VisibilityTimeout": "90"}


def test_an_update_without_changes_is_refused_as_on_aws(client: Client) -> None:
    _create(client, {"Q": QUEUE})
    with pytest.raises(ClientError, match="No updates are to be performed"):
        _update(client, {"Q": QUEUE})


def test_a_failed_update_goes_back_to_what_was(client: Client) -> None:
    _create(client, {"Q": QUEUE, "Gone": GROUP})
    before = _ids(client)
    slow = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 90}}
    wrong = {"Type": "AWS::Logs::LogGroup", "Properties": {"Nonsense": 1}, "DependsOn": ["Q", "New"]}
    stack = _update(client, {"Q": slow, "New": GROUP, "Wrong": wrong})
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "Wrong (AWS::Logs::LogGroup).Nonsense" in stack["StackStatusReason"]
    assert _ids(client) == before
    found = client("sqs").get_queue_attributes(QueueUrl=before["Q"], AttributeNames=["VisibilityTimeout"])["Attributes"]
    assert found == {"VisibilityTimeout": "60"}
    assert _groups(client) == [before["Gone"]]


def test_a_named_resource_that_must_be_replaced_fails_with_what_to_do(client: Client) -> None:
    def table(key: str) -> dict[str, Any]:
        attributes = [{"AttributeName": key, "AttributeType": "S"}]
        schema = [{"AttributeName": key, "KeyType": "HASH"}]
        properties = {"TableName": "t", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": attributes}
        return {"T": {"Type": "AWS::DynamoDB::Table", "Properties": {**properties, "KeySchema": schema}}}

    _create(client, table("a"))
    stack = _update(client, table("b"))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "TableName t is in use; change TableName too" in stack["StackStatusReason"]


def test_a_change_set_says_what_it_will_do_and_does_it(client: Client) -> None:
    cloudformation = client("cloudformation")

    def propose(resources: dict[str, Any], name: str, kind: str) -> dict[str, Any]:
        given = {"StackName": "s", "ChangeSetName": name, "ChangeSetType": kind}
        cloudformation.create_change_set(TemplateBody=json.dumps({"Resources": resources}), **given)
        proposed: dict[str, Any] = cloudformation.describe_change_set(StackName="s", ChangeSetName=name)
        return proposed

    assert propose({"Q": QUEUE, "T": GROUP}, "first", "CREATE")["ExecutionStatus"] == "AVAILABLE"
    assert cloudformation.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert "QueueUrls" not in client("sqs").list_queues()
    cloudformation.execute_change_set(StackName="s", ChangeSetName="first")
    time.sleep(0.1)
    assert _stack(client)["StackStatus"] == "CREATE_COMPLETE"
    slow = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 90}}
    second = propose({"Q": slow, "N": GROUP}, "second", "UPDATE")
    changes = [
        (change["ResourceChange"]["Action"], change["ResourceChange"]["LogicalResourceId"])
        for change in second["Changes"]
    ]
    assert sorted(changes) == [("Add", "N"), ("Modify", "Q"), ("Remove", "T")]
    cloudformation.execute_change_set(StackName="s", ChangeSetName="second")
    assert _stack(client)["StackStatus"] == "UPDATE_COMPLETE"
    third = propose({"Q": slow, "N": GROUP}, "third", "UPDATE")
    assert third["Status"] == "FAILED"
    assert "didn't contain changes" in third["StatusReason"]
    with pytest.raises(ClientError, match="cannot be executed"):
        cloudformation.execute_change_set(StackName="s", ChangeSetName="third")


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_stack_takes_its_resources_along_but_those_it_must_keep(client: Client) -> None:
    kept = {**GROUP, "DeletionPolicy": "Retain"}
    user = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${Q.QueueName}-2"}}}
    identity = _create(client, {"Q": QUEUE, "Kept": kept, "P": user})["StackId"]
    client("cloudformation").delete_stack(StackName="s")
    assert _stack(client, identity)["StackStatus"] == "DELETE_COMPLETE"
    assert "QueueUrls" not in client("sqs").list_queues()
    assert len(_groups(client)) == 1
    order = [name for name, status in _events(client, identity) if status in ("DELETE_COMPLETE", "DELETE_SKIPPED")]
    assert order.index("P") < order.index("Q")
    with pytest.raises(ClientError, match="does not exist"):
        client("cloudformation").describe_stacks(StackName="s")


def test_a_bucket_with_objects_keeps_its_stack_from_going(client: Client) -> None:
    _create(client, {"B": {"Type": "AWS::S3::Bucket"}, "Q": QUEUE})
    bucket = _ids(client)["B"]
    client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    client("cloudformation").delete_stack(StackName="s")
    stack = _stack(client)
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert "[B]" in stack["StackStatusReason"]
    client("s3").delete_object(Bucket=bucket, Key="a")
    client("cloudformation").delete_stack(StackName="s")
    assert _stack(client, stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"


def test_resources_are_listed_with_their_own_status(client: Client) -> None:
    _create(client, {"Q": QUEUE, "T": GROUP})
    _update(client, {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 90}}, "T": GROUP})
    listed = client("cloudformation").list_stack_resources(StackName="s")["StackResourceSummaries"]
    statuses = {resource["LogicalResourceId"]: resource["ResourceStatus"] for resource in listed}
    assert statuses == {"Q": "UPDATE_COMPLETE", "T": "CREATE_COMPLETE"}


def test_resources_are_described_with_their_own_status(client: Client) -> None:
    _create(client, {"Q": QUEUE, "T": GROUP})
    _update(client, {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 90}}, "T": GROUP})
    described = client("cloudformation").describe_stack_resources(StackName="s")["StackResources"]
    statuses = {resource["LogicalResourceId"]: resource["ResourceStatus"] for resource in described}
    assert statuses == {"Q": "UPDATE_COMPLETE", "T": "CREATE_COMPLETE"}
    one = client("cloudformation").describe_stack_resource(StackName="s", LogicalResourceId="T")["StackResourceDetail"]
    assert one["ResourceStatus"] == "CREATE_COMPLETE"


# ── custom resources and functions ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def code(client: Client) -> dict[str, str]:
    """Where the answering function's code lies."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", ANSWER)
    client("s3").create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client("s3").put_object(Bucket="code", Key="app.zip", Body=buffer.getvalue())
    return {"S3Bucket": "code", "S3Key": "app.zip"}


def _custom(code: dict[str, str], **properties: Any) -> dict[str, Any]:
    function = {
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Code": code,
        "Role": {"Fn::GetAtt": "R.Arn"},
        "Timeout": 30,
    }
    token = {"ServiceToken": {"Fn::GetAtt": "F.Arn"}}
    return {
        "R": ROLE,
        "F": {"Type": "AWS::Lambda::Function", "Properties": function},
        "C": {"Type": "Custom::Thing", "Properties": {**token, **properties}},
    }


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"Answer": '{"Status": "FAILED", "Reason": "the table is locked"}'}, "the table is locked"),
        ({"Answer": '{"Status": "FAILED"}'}, "gave no Reason"),
        ({"Answer": '{"PhysicalResourceId": ""}'}, "no PhysicalResourceId"),
        ({"Answer": "crash"}, "ValueError: as asked"),
    ],
)
def test_a_custom_resource_that_fails_fails_its_stack(
    client: Client, code: dict[str, str], properties: dict[str, Any], words: str
) -> None:
    stack = _create(client, _custom(code, **properties))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "C (Custom::Thing)" in stack["StackStatusReason"]
    assert words in stack["StackStatusReason"]
    assert client("lambda").list_functions()["Functions"] == []


def test_a_custom_resource_that_never_answers_fails_after_its_timeout(client: Client, code: dict[str, str]) -> None:
    resources = _custom(code, ServiceTimeout="1", Answer="silence")
    stack = _create(client, resources)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "did not respond in time" in stack["StackStatusReason"]


def test_a_custom_resource_is_made_changed_and_removed_by_its_function(client: Client, code: dict[str, str]) -> None:
    output = {"Type": {"Value": {"Fn::GetAtt": ["C", "Type"]}}, "Id": {"Value": {"Ref": "C"}}}
    stack = _create(client, _custom(code, Size=1, Flag=True), Outputs=output)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["StackStatusReason"]
    assert _outputs(stack) == {"Type": "Create", "Id": "made"}
    assert _outputs(_update(client, _custom(code, Size=2, Flag=True), Outputs=output)) == {
        "Type": "Update",
        "Id": "made",
    }
    client("cloudformation").delete_stack(StackName="s")
    assert _stack(client, stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"


def test_a_custom_resource_with_another_id_is_replaced_and_the_old_one_removed(
    client: Client, code: dict[str, str]
) -> None:
    _create(client, _custom(code, Answer='{"PhysicalResourceId": "one"}'))
    _update(client, _custom(code, Answer='{"PhysicalResourceId": "two"}'))
    assert _ids(client)["C"] == "two"
    (group,) = [one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]]
    lines = [event["message"] for event in client("logs").filter_log_events(logGroupName=group)["events"]]
    requests = [json.loads(line) for line in lines if line.startswith("{")]
    assert [(one["RequestType"], one.get("PhysicalResourceId")) for one in requests] == [
        ("Create", None),
        ("Update", "one"),
        ("Delete", "one"),
    ]
    assert requests[1]["OldResourceProperties"]["Answer"] == '{"PhysicalResourceId": "one"}'


def test_a_functions_layers_and_environment_reach_it_and_change(client: Client, code: dict[str, str]) -> None:
    client("s3").put_object(
        Bucket="code", Key="layer.zip", Body=client("s3").get_object(Bucket="code", Key="app.zip")["Body"].read()
    )

    def template(value: str, key: str) -> dict[str, Any]:
        resources = _custom(code)
        del resources["C"]
        layer = {"Content": {"S3Bucket": "code", "S3Key": key}, "CompatibleRuntimes": ["python3.13"]}
        resources["L"] = {"Type": "AWS::Lambda::LayerVersion", "Properties": layer}
        resources["F"]["Properties"].update(
            Layers=[{"Ref": "L"}], Environment={"Variables": {"A": value}}, EphemeralStorage={"Size": 1024}
        )
        return resources

    def configuration() -> Any:
        return client("lambda").get_function_configuration(FunctionName=_ids(client)["F"])

    _create(client, template("1", "app.zip"))
    first = configuration()
    assert first["Environment"]["Variables"] == {"A": "1"}
    assert first["EphemeralStorage"] == {"Size": 1024}
    _update(client, template("2", "layer.zip"))
    second = configuration()
    assert second["Environment"]["Variables"] == {"A": "2"}
    assert first["FunctionArn"] == second["FunctionArn"]
    assert [layer["Arn"] for layer in first["Layers"]] != [layer["Arn"] for layer in second["Layers"]]


def test_an_update_resets_what_a_rule_was_set_to_only_when_it_changes_the_rule(client: Client) -> None:
    rule = {"Name": "tick", "ScheduleExpression": "rate(1 minute)", "State": "DISABLED"}

    def resources(**changed: Any) -> dict[str, Any]:
        return {"R": {"Type": "AWS::Events::Rule", "Properties": {**rule, **changed}}, "Q": QUEUE}

    _create(client, resources())
    client("events").enable_rule(Name="tick")
    _update(client, {**resources(), "G": GROUP})
    assert client("events").describe_rule(Name="tick")["State"] == "ENABLED"
    _update(client, {**resources(Description="changed"), "G": GROUP})
    assert client("events").describe_rule(Name="tick")["State"] == "DISABLED"
