"""Who may do what: roles are judged by their policies on every call, and services by those of their targets."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests import roles
from twin.context import Context
from twin.iam import authorization, sessions
from twin.iam.record import RECORD
from twin.iam.request import Check

ALLOW_READS = {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/in/*"}


@pytest.fixture
def bucket(client: Callable[[str], Any]) -> str:
    client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key in ("in/a", "out/b"):
        client("s3").put_object(Bucket="lake", Key=key, Body=b"x")
    return "lake"


def session(name: str, *statements: dict[str, Any]) -> sessions.Credentials:
    return sessions.assume(roles.role(name, *statements), sessions.LAMBDA, "f")


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    found = error.value.response["Error"]
    return found["Code"], found["Message"]


def test_a_call_that_no_policy_allows_is_denied(bucket: str) -> None:
    s3 = session("reader", ALLOW_READS).client("s3")
    assert s3.get_object(Bucket=bucket, Key="in/a")["Body"].read() == b"x"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="out/b")
    assert refusal(error) == (
        "AccessDenied",
        "User: arn:aws:sts::123456789012:assumed-role/reader/f is not authorized to perform: s3:GetObject on resource: "
        "arn:aws:s3:::lake/out/b because no identity-based policy allows the s3:GetObject action",
    )
    assert [(denial.call, denial.resource) for denial in RECORD.take_denials()] == [
        ("s3:GetObject", "arn:aws:s3:::lake/out/b")
    ]


def test_a_deny_of_a_bucket_policy_comes_before_the_roles_allow(client: Callable[[str], Any], bucket: str) -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/*"}
    client("s3").put_bucket_policy(Bucket=bucket, Policy=roles.document(deny))
    with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
        session("reader", ALLOW_READS).client("s3").get_object(Bucket=bucket, Key="in/a")
    RECORD.take_denials()


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("dynamodb", lambda client: client.get_item(TableName="t", Key={"pk": {"S": "a"}}), "AccessDeniedException"),
        ("sqs", lambda client: client.send_message(QueueUrl="http://x/1/q", MessageBody="m"), "AccessDenied"),
        ("stepfunctions", lambda client: client.list_state_machines(), "AccessDeniedException"),
        ("lambda", lambda client: client.invoke(FunctionName="f"), "AccessDeniedException"),
        ("sagemaker", lambda client: client.describe_endpoint(EndpointName="e"), "AccessDeniedException"),
        ("sagemaker-runtime", lambda aws: aws.invoke_endpoint(EndpointName="e", Body=b"."), "AccessDeniedException"),
        ("iam", lambda client: client.list_roles(), "AccessDenied"),
        ("cloudwatch", lambda client: client.list_metrics(), "AccessDenied"),
        ("events", lambda client: client.list_rules(), "AccessDeniedException"),
        ("glue", lambda client: client.get_table(DatabaseName="d", Name="t"), "AccessDeniedException"),
        ("logs", lambda client: client.describe_log_groups(), "AccessDeniedException"),
        ("secretsmanager", lambda client: client.get_secret_value(SecretId="s"), "AccessDeniedException"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("server")
def test_a_denial_is_the_services_own_error(service: str, call: Callable[[Any], Any], code: str) -> None:
    with pytest.raises(ClientError) as error:
        call(session("nobody").client(service))
    found, message = refusal(error)
    assert found == code
    assert message.startswith("User: arn:aws:sts::123456789012:assumed-role/nobody/f is not authorized to perform: ")
    RECORD.take_denials()


def test_an_access_key_that_was_never_given_out_is_refused(server: Context) -> None:
    keys = {"aws_access_key_id": "AKIAUNKNOWN", "aws_secret_access_key": "s"}
    client: Any = boto3.client("dynamodb", region_name=server.region, endpoint_url=server.endpoint, **keys)
    with pytest.raises(ClientError) as error:
        client.list_tables()
    assert refusal(error) == ("UnrecognizedClientException", "The security token included in the request is invalid.")


def test_a_call_without_a_signature_is_refused(server: Context, bucket: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{server.endpoint}/{bucket}/in/a")  # noqa: S310 - the twin
    assert (error.value.code, b"Missing Authentication Token" in error.value.read()) == (403, True)


def test_a_presigned_url_does_what_its_signer_may(bucket: str) -> None:
    s3 = session("reader", ALLOW_READS).client("s3")
    urls = [s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}) for key in ("in/a", "out/b")]
    with urllib.request.urlopen(urls[0]) as answer:  # noqa: S310 - the twin
        assert answer.read() == b"x"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urls[1])  # noqa: S310 - the twin
    RECORD.take_denials()


def test_a_role_that_a_service_may_not_assume_gives_no_session(server: Context) -> None:
    arn = roles.role("untrusting", services=["ec2.amazonaws.com"])
    with pytest.raises(sessions.CannotAssume, match=r"does not allow sts:AssumeRole to lambda.amazonaws.com: add a"):
        sessions.assume(arn, sessions.LAMBDA, "f")
    with pytest.raises(sessions.CannotAssume, match=r"the role .*/missing does not exist"):
        sessions.assume(roles.arn("missing"), sessions.LAMBDA, "f")


def test_a_deleted_statement_denies_the_next_call(client: Callable[[str], Any], bucket: str) -> None:
    s3 = session("reader", ALLOW_READS).client("s3")
    s3.get_object(Bucket=bucket, Key="in/a")
    client("iam").delete_role_policy(RoleName="reader", PolicyName="test")
    with pytest.raises(ClientError, match="no identity-based policy"):
        s3.get_object(Bucket=bucket, Key="in/a")
    RECORD.take_denials()


def test_the_record_names_the_statement_that_allowed_a_call(bucket: str) -> None:
    session("recorded", ALLOW_READS).client("s3").get_object(Bucket=bucket, Key="in/a")
    (use,) = [use for use in RECORD.uses() if use.role == "recorded"]
    assert (use.sid, use.action, use.resource, use.call) == ("Read", "s3:GetObject", 0, "s3:GetObject")


def test_a_function_calls_with_its_role(
    function: Callable[..., str], client: Callable[[str], Any], bucket: str
) -> None:
    roles.role("narrow", ALLOW_READS)
    name = function(
        """
        import boto3
        def handler(event, context):
            try:
                return boto3.client("s3").get_object(**event)["Body"].read().decode()
            except Exception as error:
                return str(error)
        """,
        Role=roles.arn("narrow"),
    )
    events = [json.dumps({"Bucket": bucket, "Key": key}) for key in ("in/a", "out/b")]
    answers = [client("lambda").invoke(FunctionName=name, Payload=event)["Payload"].read() for event in events]
    seen = [json.loads(answer) for answer in answers]
    assert seen[0] == "x"
    assert "assumed-role/narrow/function-1 is not authorized to perform: s3:GetObject" in seen[1]
    denied = {denial.call for denial in RECORD.take_denials()}
    assert denied == {"s3:GetObject", "logs:CreateLogStream"}  # its log is dropped too, as on AWS


def test_a_function_whose_role_lambda_may_not_assume_does_not_start(
    function: Callable[..., str], client: Callable[[str], Any]
) -> None:
    roles.role("untrusting", services=["ec2.amazonaws.com"])
    with pytest.raises(ClientError, match="The role defined for the function cannot be assumed by Lambda"):
        function("def handler(event, context): return 1", Role=roles.arn("untrusting"))
    assert client("lambda").list_functions()["Functions"] == []


def test_a_service_needs_the_policy_of_its_target(client: Callable[[str], Any]) -> None:
    url = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    queue, rule = "arn:aws:sqs:eu-west-1:123456789012:inbox", "arn:aws:events:eu-west-1:123456789012:rule/landing"
    with pytest.raises(
        authorization.AccessDenied, match="because no resource-based policy allows the sqs:SendMessage action"
    ):
        authorization.check_service(sessions.EVENTS, rule, "sqs:SendMessage", queue)
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": sessions.EVENTS},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": roles.document(allow)})
    authorization.check_service(sessions.EVENTS, rule, "sqs:SendMessage", queue)
    with pytest.raises(authorization.AccessDenied):
        authorization.check_service(sessions.EVENTS, rule + "-other", "sqs:SendMessage", queue)
    RECORD.take_denials()


@pytest.mark.usefixtures("server")
def test_a_job_whose_role_may_do_too_little_says_which_permission_is_missing() -> None:
    role = roles.role("narrow", ALLOW_READS)
    with pytest.raises(authorization.AccessDenied, match="ecr:BatchGetImage"):
        asked = [Check("ecr:BatchGetImage", "arn:aws:ecr:eu-west-1:1:repository/r")]
        authorization.check_role(role, sessions.SAGEMAKER, "s", asked)
    RECORD.take_denials()


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ({"Condition": {"StringLikes": {"aws:SourceArn": "x"}}}, "Condition.StringLikes: unknown operator"),
        ({"Resource": "arn:aws:s3"}, "arn:aws:s3"),
        ({"Resource": "arn:aws:s3:::${aws:usrname}/*"}, "aws:usrname"),
    ],
)
def test_a_deployment_with_a_policy_that_cannot_be_judged_is_refused_and_says_where(
    client: Callable[[str], Any], eventually: Callable[..., Any], statement: dict[str, Any], reason: str
) -> None:
    document = json.loads(roles.document({"Sid": "Broken", **roles.EVERYTHING, **statement}))
    properties = {
        "AssumeRolePolicyDocument": json.loads(roles.document(roles.trust())),
        "Policies": [{"PolicyName": "streams", "PolicyDocument": document}],
    }
    body = json.dumps({"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": properties}}})
    cloudformation = client("cloudformation")
    cloudformation.create_stack(StackName="s", TemplateBody=body, Capabilities=["CAPABILITY_IAM"])

    def refused() -> list[str]:
        events = cloudformation.describe_stack_events(StackName="s")["StackEvents"]
        return [event["ResourceStatusReason"] for event in events if event.get("ResourceStatus") == "CREATE_FAILED"]

    (told,) = eventually(refused)
    assert "R (AWS::IAM::Role): policy streams, statement Broken, " in told
    assert reason in told
