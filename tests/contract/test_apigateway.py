"""The gateway forbids requests with a wrong signature, and passes others to their function as payload 2.0.

Requests are signed by botocore and checked by the twin, which does not use botocore for it.
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from twin import context
from twin.apigateway import gateway
from twin.apigateway.sigv4 import Forbidden, Request, verify

OWN = Credentials(context.ACCESS_KEY, context.SECRET_KEY)
ECHO = """
    import json, time
    def handler(event, context):
        if event["rawPath"] == "/structured":
            return {"statusCode": 201, "headers": {"X-One": "1"}, "body": "raw"}
        if event["rawPath"] == "/base64":
            return {"statusCode": 200, "body": "cmF3", "isBase64Encoded": True}
        if event["rawPath"] == "/broken":
            raise RuntimeError("secret detail")
        if event["rawPath"] == "/odd":
            return {"statusCode": "many"}
        if event["rawPath"] == "/slow":
            time.sleep(20)
        return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
"""
ROUTES = {
    "GET /open": "NONE",
    "POST /open": "NONE",
    "GET /signed": "AWS_IAM",
    "POST /signed": "AWS_IAM",
    **{f"GET /{name}": "NONE" for name in ("structured", "base64", "broken", "odd", "slow")},
}


class Api:
    """An HTTP API of a stack, and a client that sends exactly what it is told to."""

    def __init__(self, url: str, api_id: str, function_arn: str) -> None:
        self.url, self.api_id, self.function_arn = url, api_id, function_arn

    def __call__(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, Any, list[tuple[str, str]]]:
        """Status, body (JSON where it is JSON), headers."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(data), answer.getheaders()
        except ValueError:
            return answer.status, data, answer.getheaders()

    def signed(
        self, method: str, path: str, body: bytes = b"", *, credentials: Credentials = OWN, **changed: str
    ) -> dict[str, str]:
        """Headers that sign a request. changed: region or service of the signature."""
        request = AWSRequest(method, self.url + path, data=body or None, headers={"Content-Type": "application/json"})
        SigV4Auth(credentials, changed.get("service", "execute-api"), changed.get("region", "eu-west-1")).add_auth(
            request
        )
        return dict(request.headers.items())


@pytest.fixture
def api(server: Any, client: Callable[[str], Any], function: Callable[..., str]) -> Iterator[Api]:
    """A deployed API whose function answers with its event; one integration waits for half a second alone."""
    running = gateway.Gateway(server).start()
    arn = function(ECHO)
    http_api = client("apigatewayv2").create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    for key, authorization in ROUTES.items():
        integration = client("apigatewayv2").create_integration(
            ApiId=http_api,
            IntegrationType="AWS_PROXY",
            IntegrationUri=arn,
            PayloadFormatVersion="2.0",
            TimeoutInMillis=500 if key == "GET /slow" else 30_000,
        )["IntegrationId"]
        client("apigatewayv2").create_route(
            ApiId=http_api, RouteKey=key, AuthorizationType=authorization, Target=f"integrations/{integration}"
        )
    client("apigatewayv2").create_stage(ApiId=http_api, StageName="$default", AutoDeploy=True)
    client("lambda").add_permission(
        FunctionName=arn,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:eu-west-1:{context.ACCOUNT}:{http_api}/*",
    )
    yield Api(running.url(http_api), http_api, arn)
    running.stop()


FORBIDDEN = (403, {"message": "Forbidden"})


# Signatures


def test_an_unsigned_request_is_forbidden(api: Api) -> None:
    assert api("GET", "/signed")[:2] == FORBIDDEN
    assert api("GET", "/signed", headers={"Authorization": "Bearer x"})[:2] == FORBIDDEN
    assert api("GET", "/signed", headers={"Authorization": "AWS4-HMAC-SHA256 nonsense"})[:2] == FORBIDDEN


@pytest.mark.parametrize("changed", [{"region": "us-east-1"}, {"service": "lambda"}])
def test_a_signature_for_something_else_is_forbidden(api: Api, changed: dict[str, str]) -> None:
    assert api("GET", "/signed", headers=api.signed("GET", "/signed", **changed))[:2] == FORBIDDEN


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials("AKIAUNKNOWN", "x"),
        Credentials(context.ACCESS_KEY, "wrong"),
        Credentials(context.ACCESS_KEY, context.SECRET_KEY, "token"),
    ],
)
def test_unknown_keys_and_wrong_secrets_are_forbidden(api: Api, credentials: Credentials) -> None:
    assert api("GET", "/signed", headers=api.signed("GET", "/signed", credentials=credentials))[:2] == FORBIDDEN


def test_what_was_changed_after_signing_is_forbidden(api: Api) -> None:
    headers = api.signed("POST", "/signed?a=1", b'{"a": 1}')
    assert api("POST", "/signed?a=1", b'{"a": 1}', headers)[0] == 200
    assert api("POST", "/signed?a=1", b'{"a": 2}', headers)[:2] == FORBIDDEN
    assert api("POST", "/signed?a=2", b'{"a": 1}', headers)[:2] == FORBIDDEN
    assert api("GET", "/signed?a=1", b'{"a": 1}', headers)[:2] == FORBIDDEN
    assert api("POST", "/signed?a=1", b'{"a": 1}', {**headers, "X-Amz-Extra": "1"})[:2] == FORBIDDEN
    assert api("POST", "/signed?a=1", b'{"a": 1}', {**headers, "X-Amz-Date": "20200101T000000Z"})[:2] == FORBIDDEN


@pytest.mark.parametrize(
    "path",
    ["/signed", "/signed?b=2&a=1&a=0", "/signed?user_id=a%2Fb%20c%2C%C3%BC&x=", "/signed?x=%00", "/signed?q=a%2Bb"],
)
def test_a_signature_of_botocore_is_accepted(api: Api, path: str) -> None:
    status, event, _ = api("GET", path, headers=api.signed("GET", path))
    assert status == 200, event
    assert event["rawQueryString"] == path.partition("?")[2]


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_is_valid_for_five_minutes(api: Api, seconds: int) -> None:
    headers = [*api.signed("GET", "/signed").items(), ("Host", urlsplit(api.url).netloc)]
    request, now = Request("GET", "/signed", "", headers, b""), datetime.now(UTC)
    verify(request, "eu-west-1", now)
    with pytest.raises(Forbidden, match="too far from the present time"):
        verify(request, "eu-west-1", now + timedelta(seconds=seconds + seconds / 10))


# Requests and answers


def test_unknown_routes_and_apis_are_not_found(api: Api, client: Callable[[str], Any]) -> None:
    for method, path in (("GET", "/"), ("GET", "/nothing"), ("PUT", "/signed"), ("GET", "/signed/")):
        assert api(method, path)[:2] == (404, {"message": "Not Found"})
    client("apigatewayv2").delete_stage(ApiId=api.api_id, StageName="$default")
    assert api("GET", "/open")[0] == 404
    client("apigatewayv2").delete_api(ApiId=api.api_id)
    assert api("GET", "/open")[0] == 404


def test_a_function_without_a_permission_for_the_api_is_a_500(api: Api, client: Callable[[str], Any]) -> None:
    assert api("GET", "/open")[0] == 200
    client("lambda").remove_permission(FunctionName=api.function_arn, StatementId="api")
    assert api("GET", "/open")[:2] == (500, {"message": "Internal Server Error"})


def test_a_function_that_fails_or_returns_nonsense_is_a_500_without_details(api: Api) -> None:
    for path in ("/broken", "/odd", "/base64"):
        assert api("GET", path)[:2] == (500, {"message": "Internal Server Error"})


def test_a_function_that_takes_too_long_is_a_503(api: Api) -> None:
    assert api("GET", "/slow")[:2] == (503, {"message": "Service Unavailable"})


def test_a_request_that_is_too_large_is_refused_unread(api: Api) -> None:
    assert api("POST", "/open", headers={"Content-Length": str(10 * 1024 * 1024 + 1)})[0] == 413
    assert api("GET", "/open?user_id=" + "x" * 10_240)[0] == 431
    assert api("POST", "/open", headers={"Transfer-Encoding": "chunked"})[0] == 400


def test_an_event_holds_the_whole_request(api: Api) -> None:
    headers = {"X-Two": "x", "Content-Type": "application/json", "User-Agent": "test"}
    status, event, _ = api("POST", "/open?q=1&q=2&e=%20+", b'{"x": 1}', headers)
    assert status == 200
    assert (event["version"], event["routeKey"]) == ("2.0", "POST /open")
    assert event["rawPath"] == "/open"
    assert event["queryStringParameters"] == {"q": "1,2", "e": "  "}
    assert (event["body"], event["isBase64Encoded"]) == ('{"x": 1}', False)
    assert event["headers"]["x-two"] == "x"
    said = event["requestContext"]
    assert (said["apiId"], said["stage"], said["accountId"]) == (api.api_id, "$default", context.ACCOUNT)
    assert (said["http"]["method"], said["http"]["userAgent"]) == ("POST", "test")
    assert "authorizer" not in said


@pytest.mark.parametrize(("kind", "body"), [("application/octet-stream", b"abc"), ("application/json", b"\xff")])
def test_a_body_that_is_not_text_comes_in_base64(api: Api, kind: str, body: bytes) -> None:
    event = api("POST", "/open", body, {"Content-Type": kind})[1]
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == body


def test_a_structured_response_sets_status_headers_and_body(api: Api) -> None:
    status, body, headers = api("GET", "/structured")
    assert (status, body) == (201, b"raw")
    assert dict(headers)["x-one"] == "1"


def test_one_connection_carries_many_requests(api: Api) -> None:
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=30)
    for _ in range(3):
        connection.request("GET", "/open")
        assert connection.getresponse().read()
    connection.close()


def test_the_output_of_a_stack_is_where_the_api_answers(
    server: Any, client: Callable[[str], Any], eventually: Callable[..., Any]
) -> None:
    running = gateway.Gateway(server).start()
    template = {
        "Resources": {"Http": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "a", "ProtocolType": "HTTP"}}},
        "Outputs": {"ApiUrl": {"Value": {"Fn::GetAtt": ["Http", "ApiEndpoint"]}}},
    }
    cloudformation = client("cloudformation")
    cloudformation.create_stack(StackName="s", TemplateBody=json.dumps(template))
    found = eventually(lambda: cloudformation.describe_stacks(StackName="s")["Stacks"][0].get("Outputs"))
    url = found[0]["OutputValue"]
    assert Api(url, "", "")("GET", "/")[0] == 404
    cloudformation.delete_stack(StackName="s")
    eventually(lambda: _refused(url))
    running.stop()


def _refused(url: str) -> bool:
    try:
        Api(url, "", "")("GET", "/")
    except ConnectionError:  # refused, or reset while it closes
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("Api", {"Name": "a", "ProtocolType": "WEBSOCKET"}),
        ("Api", {"Name": "a", "ProtocolType": "HTTP", "CorsConfiguration": {}}),
        ("Route", {"ApiId": "a", "RouteKey": "GET /items/{id}"}),
        ("Route", {"ApiId": "a", "RouteKey": "$default"}),
        ("Stage", {"ApiId": "a", "StageName": "test"}),
        ("Route", {"ApiId": "a", "RouteKey": "GET /", "AuthorizationType": "JWT"}),
        ("Integration", {"ApiId": "a", "IntegrationType": "HTTP_PROXY"}),
    ],
)
def test_an_unsupported_property_is_refused_at_deployment(
    client: Callable[[str], Any], eventually: Callable[..., Any], kind: str, properties: dict[str, Any], server: Any
) -> None:
    body = json.dumps({"Resources": {"It": {"Type": f"AWS::ApiGatewayV2::{kind}", "Properties": properties}}})
    client("cloudformation").create_stack(StackName="s", TemplateBody=body)

    def reason() -> str:
        stack = client("cloudformation").describe_stacks(StackName="s")["Stacks"][0]
        return str(stack.get("StackStatusReason", "")) if stack["StackStatus"] == "ROLLBACK_COMPLETE" else ""

    assert "the twin's gateway" in eventually(reason)


# Metrics


def test_requests_errors_and_latency_are_metrics_of_the_api(
    api: Api, client: Callable[[str], Any], eventually: Callable[..., Any]
) -> None:
    for path in ("/signed", "/broken", "/broken", "/open"):
        api("GET", path)

    def measured(name: str, *statistics: str) -> dict[str, Any]:
        now = datetime.now(UTC)
        points = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApiGateway",
            MetricName=name,
            Dimensions=[{"Name": "ApiId", "Value": api.api_id}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=86400,
            Statistics=list(statistics),
        )["Datapoints"]
        return dict(points[0]) if points else {}

    eventually(lambda: measured("Count", "Sum").get("Sum") == 4)
    assert measured("5xx", "Sum", "Average")["Average"] == 0.5
    assert measured("4xx", "Sum")["Sum"] == 1
    latency = measured("Latency", "Minimum", "SampleCount")
    assert latency["SampleCount"] == 4 and latency["Minimum"] > 0 and latency["Unit"] == "Milliseconds"
