"""What no table covers is refused, whatever the protocol; and the bodies that are read."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.unit.twin.iam.calls.conftest import REGION, Sends
from twin.iam.calls import CONTEXT_KEYS, TABLES, MalformedCall, UnknownCall, checks_of, needs_body, operation_of
from twin.iam.calls.tables import Operation, need, op, table
from twin.iam.calls.templates import Path, Template
from twin.iam.request import Check, HttpCall

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def call(
    service: str, method: str = "POST", path: str = "/", query: str = "", body: bytes = b"", **headers: str
) -> HttpCall:
    return HttpCall(service, REGION, method, path, query, {n.replace("_", "-"): v for n, v in headers.items()}, body)


def targeted(service: str, operation: str, body: bytes = b"{}", **headers: str) -> HttpCall:
    return call(service, body=body, x_amz_target=f"Prefix.{operation}", **headers)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (targeted("glue", "SearchTables"), "glue:SearchTables needs: add it to twin/iam/calls/glue.py"),
        (
            targeted("monitoring", "PutInsightRule"),
            "cloudwatch:PutInsightRule needs: add it to twin/iam/calls/cloudwatch.py",
        ),
        (targeted("ecr", "CreatePullThroughCacheRule"), "add it to twin/iam/calls/containers.py"),
        (call("iam", body=b"Action=CreateUser&UserName=x", content_type=FORM), "iam:CreateUser"),
        (
            call("lambda", "GET", "/2020-04-22/code-signing-configs"),
            "lambda:GET /2020-04-22/code-signing-configs needs",
        ),
        (call("sagemaker", path="/endpoints/a/b/invocations"), "sagemaker:POST /endpoints/a/b/invocations"),
        (call("kinesis", x_amz_target="Kinesis_20131202.PutRecord"), "the service kinesis: add a table"),
        (
            call(
                "monitoring",
                path="/service/GraniteServiceVersion20100801/operation/PutMetricData",
                smithy_protocol="rpc-v2-cbor",
            ),
            "reads no CBOR",
        ),
        (call("apigateway", "HEAD", "/v2/apis"), "apigateway HEAD"),
        (call("sts"), "sts:POST /"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_that_no_table_has_is_unknown(request_: HttpCall, says: str) -> None:
    with pytest.raises(UnknownCall) as refused:
        checks_of(request_)
    assert says in str(refused.value)


@pytest.mark.parametrize("service", TABLES)
def test_an_empty_request_is_malformed_or_checked_and_never_free(service: str) -> None:
    """Only GetCallerIdentity needs no permission; a missing member must not leave a check out."""
    for name, operation in TABLES[service].operations.items():
        if operation.route:
            continue
        empty = call(service, body=f"Action={name}".encode(), content_type=FORM)
        for request in (targeted(service, name), empty):
            try:
                checks = checks_of(request)
            except MalformedCall:
                continue
            assert bool(checks) is (name != "GetCallerIdentity"), name


def test_the_query_protocol_is_read_for_every_service() -> None:
    """Clients older than botocore's JSON protocol for SQS and CloudWatch still send forms."""
    body = b"Action=DescribeAlarms&AlarmNames.member.1=a&AlarmNames.member.2=b%20c&Version=2010-08-01"
    found = checks_of(call("monitoring", body=body, content_type=FORM))
    assert [check.resource.rpartition("alarm:")[2] for check in found] == ["a", "b c"]
    (check,) = checks_of(call("monitoring", "GET", query="Action=ListMetrics"))
    assert check == Check("cloudwatch:ListMetrics", "*")
    tags = b"Action=CreateStack&StackName=s&Tags.member.1.Key=Team&Tags.member.1.Value=x"
    (check,) = checks_of(call("cloudformation", body=tags, content_type=FORM))
    assert check.context == {"aws:tagkeys": ("Team",), "aws:requesttag/team": ("x",)}


def test_a_form_whose_members_contradict_each_other_is_malformed() -> None:
    with pytest.raises(MalformedCall):
        checks_of(call("iam", body=b"Action=GetRole&RoleName=a&RoleName.b=c", content_type=FORM))


def test_a_body_that_is_not_what_its_headers_say_is_malformed() -> None:
    packed = gzip.compress(b'{"Namespace": "Usher"}')
    (check,) = checks_of(targeted("monitoring", "PutMetricData", packed, content_encoding="gzip"))
    assert check.context == {"cloudwatch:namespace": ("Usher",)}
    for body in (b"no gzip", packed[:-9]):
        with pytest.raises(MalformedCall):
            checks_of(targeted("monitoring", "PutMetricData", body, content_encoding="gzip"))


def test_a_large_body_is_not_decoded() -> None:
    """Of a batch only the stream's name is read: records that are no records do not matter."""
    records = ",".join('{"Data": 3, "x": [1, {"DeliveryStreamName": "other"}]}' for _ in range(1000))
    body = f'{{"Records": [{records}], "DeliveryStreamName": "ratings"}}'.encode()
    (check,) = checks_of(targeted("firehose", "PutRecordBatch", body))
    assert check.resource.endswith(":deliverystream/ratings")


def test_bodies_of_objects_functions_and_endpoints_are_not_needed(sends: Sends) -> None:
    assert not needs_body(sends("s3", "put_object", Bucket="b", Key="delete", Body=b"x"))
    assert not needs_body(sends("s3", "put_object", Bucket="b", Key="k?delete", Body=b"x"))
    assert not needs_body(sends("lambda", "invoke", FunctionName="f", Payload=b"x"))
    assert not needs_body(sends("sagemaker-runtime", "invoke_endpoint", EndpointName="e", Body=b"x"))
    assert needs_body(sends("lambda", "create_function", FunctionName="f", Role="arn:aws:iam::1:role/r", Code={}))
    assert needs_body(sends("dynamodb", "list_tables"))


def test_an_api_is_invoked_by_the_id_in_its_host() -> None:
    request = call("execute-api", "GET", "/users/7/recommendations", host=f"a1b2.execute-api.{REGION}.amazonaws.com")
    assert operation_of(request) == "execute-api:GET"
    arn = f"arn:aws:execute-api:{REGION}:123456789012:a1b2/$default/GET/users/7/recommendations"
    assert checks_of(request) == [Check("execute-api:Invoke", arn)]
    with pytest.raises(MalformedCall):
        checks_of(call("execute-api", "GET", "/", host="127.0.0.1:1"))


def test_names_that_are_no_names_are_malformed() -> None:
    for name in ({}, [], True, None, "", 1.5):
        body = json.dumps({"DatabaseName": name, "Name": "t"}).encode()
        with pytest.raises(MalformedCall):
            checks_of(targeted("glue", "GetTable", body))
    with pytest.raises(MalformedCall, match="is not an ARN"):
        checks_of(targeted("states", "StartExecution", b'{"stateMachineArn": "usher"}'))


def resources(template: str, members: dict[str, Any], lower: bool = False) -> list[str]:
    return list(Template.of(template).resources(members, "arn:aws:x:r:a:", lower=lower))


def test_templates_fill_in_members() -> None:
    assert resources("table/{A}/{B.C}", {"A": "a", "B": {"C": "c"}}) == ["arn:aws:x:r:a:table/a/c"]
    assert resources("t/{A=x}", {}) == ["arn:aws:x:r:a:t/x"]
    assert resources("t/{A|B}", {"B": "b"}) == ["arn:aws:x:r:a:t/b"]
    assert resources("t/{A[]}", {"A": ["a", "b"]}) == ["arn:aws:x:r:a:t/a", "arn:aws:x:r:a:t/b"]
    assert resources("t/{A[].N}", {"A": [{"N": "a"}, {"N": "b"}]}) == ["arn:aws:x:r:a:t/a", "arn:aws:x:r:a:t/b"]
    assert resources("t/{A{}}", {"A": {"k": 1}}) == ["arn:aws:x:r:a:t/k"]
    assert resources(":{A}", {"A": "q"}) == ["arn:aws:x:r:a:q"]
    assert resources("t/{A}:end", {"A": "arn:aws:x:r:a:t/Whole"}, lower=True) == ["arn:aws:x:r:a:t/Whole"]
    assert resources("t/{A}", {"A": "NAME"}, lower=True) == ["arn:aws:x:r:a:t/name"]
    assert resources("*", {}) == ["*"]
    assert resources("arn:aws:y::a:d/{A}", {"A": "n"}) == ["arn:aws:y::a:d/n"]


def test_a_template_without_its_members_is_malformed() -> None:
    for template, members in (("t/{A}", {}), ("t/{A[]}", {"A": []}), ("t/{A[]}", {"A": "a"}), ("{A}", {"A": "name"})):
        with pytest.raises(MalformedCall):
            resources(template, members)


def test_a_table_with_a_mistake_is_refused() -> None:
    with pytest.raises(ValueError, match="stands twice"):
        table("glue", op("Get"), op("Get"))
    with pytest.raises(ValueError, match="the path is "):
        Path.of("a[[")


def test_a_need_may_depend_on_a_member() -> None:
    own = table("x", Operation("Do", (need("Pass", "{Role}", when="Role"), need("Do"))))
    operation = own.operations["Do"]
    assert [check.action for check in own.checks(operation, {}, "r")] == ["x:Do"]
    passed = own.checks(operation, {"Role": "arn:aws:iam::1:role/r"}, "r")
    assert passed == [Check("x:Pass", "arn:aws:iam::1:role/r"), Check("x:Do", "*")]


def test_the_context_keys_have_those_that_the_template_uses() -> None:
    used = {"dynamodb:LeadingKeys", "s3:prefix", "iam:PassedToService", "cloudwatch:namespace"}
    assert used <= CONTEXT_KEYS
