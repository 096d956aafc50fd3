"""Tasks in the twin's workflows reach services as on AWS: names, errors, parameters, `.sync`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]
SDK = "arn:aws:states:::aws-sdk:"
QUERY = "arn:aws:states:::athena:startQueryExecution.sync"
ROLE = "arn:aws:iam::123456789012:role/r"


def _machine(**states: Any) -> dict[str, Any]:
    return {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}


def _task(resource: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True, **fields}


def _query(sql: str) -> dict[str, Any]:
    return {"QueryString": sql, "ResultConfiguration": {"OutputLocation": "s3://results/q/"}}


@pytest.fixture
def results(client: Client) -> None:
    """A bucket for Athena's results."""
    client("s3").create_bucket(Bucket="results", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def test_a_job_is_followed_until_it_succeeds(execute: Any, results: None) -> None:
    found = execute(_machine(A=_task(QUERY, _query("SELECT 1 AS one"))))
    assert found["output"]["QueryExecution"]["Status"]["State"] == "SUCCEEDED"
    assert found["output"]["QueryExecution"]["Query"] == "SELECT 1 AS one"
    assert [event["type"] for event in found["history"]].count("TaskSubmitted") == 1


def test_a_failed_job_fails_its_task_with_its_description(execute: Any, results: None) -> None:
    caught = {"ErrorEquals": ["States.TaskFailed"], "Next": "B", "Output": "{% $states.errorOutput %}"}
    cause = {"Type": "Pass", "Output": "{% $parse($states.input.Cause).QueryExecution.Status.State %}", "End": True}
    found = execute(_machine(A=_task(QUERY, _query("SELECT nothing"), Catch=[caught]), B=cause))
    assert (found["status"], found["output"]) == ("SUCCEEDED", "FAILED")


def test_a_failed_job_in_a_map_keeps_its_error(execute: Any, results: None) -> None:
    caught = {"ErrorEquals": ["States.TaskFailed"], "Next": "B", "Output": "{% $states.errorOutput %}"}
    inner = {"StartAt": "Q", "States": {"Q": _task(QUERY, _query("{% $states.input %}"))}}
    each = {"Type": "Map", "Items": ["SELECT 1 AS one", "SELECT nothing"], "ItemProcessor": inner, "Catch": [caught]}
    found = execute(_machine(A={**each, "End": True}, B={"Type": "Pass", "End": True}))
    assert (found["status"], found["output"]["Error"]) == ("SUCCEEDED", "States.TaskFailed")
    assert '"State": "FAILED"' in found["output"]["Cause"]


def test_a_failed_job_in_a_branch_keeps_its_error(execute: Any, results: None) -> None:
    branches = [
        {"StartAt": "Q", "States": {"Q": _task(QUERY, _query("SELECT nothing"))}},
        {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 6000, "End": True}}},
    ]
    found = execute(_machine(A={"Type": "Parallel", "Branches": branches, "End": True}))
    assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (SDK + "nosuch:foo", "nosuch has no action foo"),
        (SDK + "sagemaker:describeNothing", "sagemaker has no action describeNothing"),
    ],
)
def test_an_unknown_action_is_refused_at_creation(execute: Any, resource: str, words: str) -> None:
    with pytest.raises(ClientError, match=words):
        execute.create(_machine(A=_task(resource, {})))


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        ("arn:aws:states:::sagemaker:createModelPackage", "not recognized"),
        ("arn:aws:states:::sagemaker:createModel.sync", "has no .sync"),
        ("arn:aws:states:::sagemaker:createTrainingJob.waitForTaskToken", "has no .waitForTaskToken"),
        ("arn:aws:states:::bedrock:invokeModel", "use aws-sdk:bedrock"),
        ("arn:aws:states:::nosuch:foo", "Unknown service"),
    ],
)
def test_an_integration_that_aws_lacks_is_refused_at_creation(execute: Any, resource: str, words: str) -> None:
    with pytest.raises(ClientError, match=words):
        execute.create(_machine(A=_task(resource, {})))


def test_an_answer_with_times_is_json(execute: Any, client: Client) -> None:
    client("dynamodb").create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    found = execute(_machine(A=_task(SDK + "dynamodb:describeTable", {"TableName": "t"})))
    assert found["output"]["Table"]["CreationDateTime"].endswith("Z")


def test_an_object_written_through_the_sdk_integration_is_json_text(
    execute: Any, client: Client, results: None
) -> None:
    written = {"Bucket": "results", "Key": "k", "Body": {"a": [1, None]}}
    assert execute(_machine(A=_task(SDK + "s3:putObject", written)))["status"] == "SUCCEEDED"
    assert client("s3").get_object(Bucket="results", Key="k")["Body"].read() == b'{"a":[1,null]}'


def test_a_stream_in_an_answer_becomes_text(execute: Any, client: Client, results: None) -> None:
    client("s3").put_object(Bucket="results", Key="k", Body=b'{"a": 1}')
    read = _task(SDK + "s3:getObject", {"Bucket": "results", "Key": "k"}, Output="{% $parse($states.result.Body) %}")
    assert execute(_machine(A=read))["output"] == {"a": 1}


def test_services_are_called_by_the_names_of_the_java_sdk(execute: Any) -> None:
    entries = [{"Source": "s", "DetailType": "d", "Detail": "{}"}]
    found = execute(_machine(A=_task(SDK + "eventbridge:putEvents", {"Entries": entries})))
    assert found["output"]["FailedEntryCount"] == 0


@pytest.mark.parametrize(
    ("resource", "arguments", "error"),
    [
        (SDK + "glue:getTable", {"DatabaseName": "d", "Name": "t"}, "Glue.EntityNotFoundException"),
        (SDK + "s3:getObject", {"Bucket": "none", "Key": "k"}, "S3.NoSuchBucketException"),
        (SDK + "dynamodb:getItem", {"TableName": "t", "Key": {"pk": {"S": "a"}}}, "DynamoDb.ResourceNotFoundException"),
        (SDK + "sagemaker:describeModel", {"ModelName": "m"}, "SageMaker.SageMakerException"),
        (
            "arn:aws:states:::sagemaker:createEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "none"},
            "SageMaker.AmazonSageMakerException",
        ),
    ],
)
def test_errors_are_named_as_aws_names_them(execute: Any, resource: str, arguments: Any, error: str) -> None:
    found = execute(_machine(A=_task(resource, arguments)))
    assert (found["status"], found["error"]) == ("FAILED", error)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE_MODEL = "arn:aws:states:::sagemaker:createModel"
MODEL = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "i"}}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{% {'ModelName': 'm', 'ExecutionRoleArn': $r, 'Modes': 1} %}", 'The field "Modes" is not supported by Step'),
        (
            "{% {'modelName': 'm', 'ExecutionRoleArn': $r} %}",
            'The field "modelName" is not supported by Step Functions',
        ),
        ("{% {'ExecutionRoleArn': $r} %}", 'The field "ModelName" is required but was missing'),
        (
            "{% {'ModelName': 'm', 'ExecutionRoleArn': $r, 'PrimaryContainer': {'Environment': {'A': 1}}} %}",
            'The value for the field "A" must be a STRING',
        ),
    ],
)
def test_a_request_that_step_functions_cannot_make_is_a_runtime_error(execute: Any, arguments: str, words: str) -> None:
    start = {"Type": "Pass", "Assign": {"r": ROLE}, "Next": "A"}
    caught = {"ErrorEquals": ["States.ALL"], "Next": "B"}
    found = execute(_machine(S=start, A=_task(CREATE_MODEL, arguments, Catch=[caught]), B={"Type": "Succeed"}))
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")
    assert "could not be used to start the Task" in found["cause"]
    assert words in found["cause"]


def test_a_request_that_the_service_refuses_is_the_services_error(execute: Any) -> None:
    named = {**MODEL, "ModelName": "{% 'a' & '_' & 'b' %}"}
    caught = {"ErrorEquals": ["SageMaker.AmazonSageMakerException"], "Next": "B", "Output": "{% $states.errorOutput %}"}
    found = execute(_machine(A=_task(CREATE_MODEL, named, Catch=[caught]), B={"Type": "Pass", "End": True}))
    assert "Value 'a_b' at 'modelName' failed to satisfy constraint" in found["output"]["Cause"]


@pytest.mark.parametrize(
    ("resource", "arguments", "words"),
    [
        (CREATE_MODEL, {**MODEL, "Mode": "x"}, 'The field "Mode" is not supported by Step Functions at /States/A/Argu'),
        (CREATE_MODEL, {**MODEL, "ModelName": 7}, 'The value for the field "ModelName" must be a STRING'),
        (SDK + "s3:putObject", {"Bucket": "b", "Key": "k", "SSEKMSKeyId": "x"}, '"SSEKMSKeyId" is not supported'),
    ],
)
def test_a_literal_request_that_step_functions_cannot_make_is_refused_at_creation(
    execute: Any, resource: str, arguments: Any, words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        execute.create(_machine(A=_task(resource, arguments)))


def test_an_object_in_a_message_is_json_text_and_no_wrong_type(execute: Any, client: Client) -> None:
    url = client("sqs").create_queue(QueueName="q")["QueueUrl"]
    sent = _task("arn:aws:states:::sqs:sendMessage", {"QueueUrl": url, "MessageBody": {"a": 1}})
    assert execute(_machine(A=sent))["status"] == "SUCCEEDED"
