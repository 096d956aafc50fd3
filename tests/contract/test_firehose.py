"""Firehose on the twin: buffers, transformation, delivery, error output, limits, throttling; failures first."""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from twin.firehose import api, backend

Client = Callable[[str], Any]
Eventually = Callable[..., Any]

ROLE = "arn:aws:iam::123456789012:role/r"

UPPER = """
    import base64
    def handler(event, context):
        answers = []
        for record in event["records"]:
            data = base64.b64decode(record["data"]).decode()
            result = {"drop": "Dropped", "fail": "ProcessingFailed"}.get(data, "Ok")
            answer = {"recordId": record["recordId"], "result": result}
            if result == "Ok":
                answer["data"] = base64.b64encode((data.upper() + "\\n").encode()).decode()
            if data != "forget":
                answers.append(answer)
        return {"records": answers}
"""


@pytest.fixture
def bucket(client: Client) -> str:
    region = {"LocationConstraint": "eu-west-1"}
    client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration=region)
    return "bucket"


@pytest.fixture
def stream(client: Client, bucket: str) -> Iterator[Callable[..., str]]:
    """`stream(function_arn, **destination)`: a delivery stream with short buffers; its name.

    They are gone before the next test begins: what is on its way must not land in that one's bucket.
    """

    def make(function_arn: str = "", name: str = "s", **settings: Any) -> str:
        destination: dict[str, Any] = {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}", "Prefix": "in/"}
        destination["ErrorOutputPrefix"] = "out/!{firehose:error-output-type}/!{timestamp:yyyy/MM}/"
        destination["BufferingHints"] = {"SizeInMBs": 5, "IntervalInSeconds": 6}
        if function_arn:
            values = {"LambdaArn": function_arn, "BufferIntervalInSeconds": "6", "NumberOfRetries": "1"}
            parameters = [{"ParameterName": key, "ParameterValue": value} for key, value in values.items()]
            processor = {"Type": "Lambda", "Parameters": parameters}
            destination["ProcessingConfiguration"] = {"Enabled": True, "Processors": [processor]}
        destination |= settings
        client("firehose").create_delivery_stream(
            DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination
        )
        return name

    yield make
    firehose = client("firehose")
    for name in firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"]:
        firehose.delete_delivery_stream(DeliveryStreamName=name)


def put(client: Client, name: str, *data: bytes) -> dict[str, Any]:
    records = [{"Data": item} for item in data]
    answer: dict[str, Any] = client("firehose").put_record_batch(DeliveryStreamName=name, Records=records)
    return answer


def redirect(client: Client, name: str, **changes: Any) -> None:
    """Change a stream's destination."""
    firehose = client("firehose")
    described = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    firehose.update_destination(
        DeliveryStreamName=name,
        CurrentDeliveryStreamVersionId=described["VersionId"],
        DestinationId=described["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate=changes,
    )


def objects(client: Client, prefix: str, bucket: str = "bucket") -> dict[str, bytes]:
    """Keys and contents below a prefix."""
    s3 = client("s3")
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {item["Key"]: s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in found}


def errors(client: Client) -> list[dict[str, Any]]:
    """The error records, once there are some."""
    return [json.loads(line) for body in objects(client, "out/").values() for line in body.splitlines()]


def code(failed: pytest.ExceptionInfo[ClientError]) -> str:
    return str(failed.value.response["Error"]["Code"])


def test_a_record_over_the_limit_is_refused(client: Client, stream: Callable[..., str]) -> None:
    name = stream()
    with pytest.raises(ClientError) as refused:
        client("firehose").put_record(DeliveryStreamName=name, Record={"Data": b"x" * (api.RECORD_MAX_BYTES + 1)})
    assert code(refused) == "ValidationException"
    with pytest.raises(ClientError) as refused:
        put(client, name, *[b"x"] * (api.RECORDS_MAX + 1))
    assert code(refused) == "ValidationException"
    with pytest.raises(ClientError) as refused:
        put(client, name, *[b"x" * 1_000_000] * 5)
    assert code(refused) == "InvalidArgumentException"
    assert client("firehose").put_record(DeliveryStreamName=name, Record={"Data": b"x" * api.RECORD_MAX_BYTES})


def test_an_unknown_stream_is_not_found(client: Client, bucket: str) -> None:
    with pytest.raises(ClientError) as refused:
        put(client, "none", b"x")
    assert code(refused) == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"CompressionFormat": "Snappy"}, "Snappy"),
        ({"S3BackupMode": "Enabled"}, "backup"),
        ({"BufferingHints": {"SizeInMBs": 200, "IntervalInSeconds": 60}}, "SizeInMBs"),
        ({"Prefix": "!{partitionKeyFromQuery:a}/"}, "partitionKeyFromQuery"),
        ({"Prefix": "!{timestamp:QQ}/"}, "QQ"),
        ({"Prefix": "!{timestamp:yyyy}/", "ErrorOutputPrefix": "e/"}, "error-output-type"),
        ({"DynamicPartitioningConfiguration": {"Enabled": True}}, "DynamicPartitioningConfiguration"),
    ],
)
def test_what_the_twin_cannot_do_is_refused_at_creation(
    client: Client, stream: Callable[..., str], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError, match=re.escape(words)) as refused:
        stream(**settings)
    assert code(refused) == "InvalidArgumentException"
    assert client("firehose").list_delivery_streams()["DeliveryStreamNames"] == []


def test_a_function_that_fails_is_tried_again_and_its_records_are_kept_as_errors(
    client: Client, stream: Callable[..., str], function: Callable[..., str], eventually: Eventually
) -> None:
    arn = function("def handler(event, context): raise ValueError('no')")
    put(client, stream(arn), b"one", b"two")
    found = eventually(lambda: errors(client))
    assert [base64.b64decode(error["rawData"]) for error in found] == [b"one", b"two"]
    assert {(error["errorCode"], error["attemptsMade"]) for error in found} == {("Lambda.FunctionError", 2)}
    assert {error["lambdaArn"] for error in found} == {arn}
    assert all(error["arrivalTimestamp"] <= error["attemptEndingTimestamp"] for error in found)
    (key,) = objects(client, "out/")
    assert re.fullmatch(r"out/processing-failed/\d{4}/\d\d/s-1-[\d-]{19}-[0-9a-f-]{36}", key)
    assert objects(client, "in/") == {}


def test_a_function_that_fails_once_loses_nothing(
    client: Client, stream: Callable[..., str], function: Callable[..., str], eventually: Eventually
) -> None:
    mark = str(time.time_ns())
    source = """
import base64, os, pathlib
mark = pathlib.Path("/tmp") / ("usher-once-" + os.environ["MARK"])
def handler(event, context):
    if not mark.exists():
        mark.touch()
        os._exit(1)
    mark.unlink()
    return {"records": [{**r, "result": "Ok"} for r in event["records"]]}
"""
    arn = function(source, Environment={"Variables": {"MARK": mark}})
    put(client, stream(arn), b"one", b"two")
    assert list(eventually(lambda: objects(client, "in/")).values()) == [b"onetwo"]
    assert errors(client) == []


@pytest.mark.parametrize(
    "answer",
    [
        ("def handler(event, context): return {'no': 'records'}", "Lambda.JsonProcessingException"),
        (
            "def handler(event, context): return {'records': [{**event['records'][0], 'result': 'Ok'}] * 2}",
            "Duplicated",
        ),
        (
            "def handler(event, context): return {'records': [{**r, 'result': 'Fine'} for r in event['records']]}",
            "Function",
        ),
        (
            "def handler(event, context):\n"
            "  return {'records': [{**r, 'result': 'Ok', 'data': '§'} for r in event['records']]}",
            "JsonProcessing",
        ),
        ("def handler(event, context): return {'records': []}", "MissingRecordId"),
        ("import time\ndef handler(event, context): time.sleep(5)", "FunctionTimedOut"),
    ],
)
def test_an_invalid_response_turns_the_records_into_errors(
    client: Client,
    stream: Callable[..., str],
    function: Callable[..., str],
    eventually: Eventually,
    answer: tuple[str, str],
) -> None:
    source, expected = answer
    put(client, stream(function(source, Timeout=1 if "sleep" in source else 60)), b"one")
    (error,) = eventually(lambda: errors(client))
    assert expected in error["errorCode"]
    assert base64.b64decode(error["rawData"]) == b"one"


def test_a_deleted_function_turns_the_records_into_errors(
    client: Client, stream: Callable[..., str], eventually: Eventually
) -> None:
    put(client, stream("arn:aws:lambda:eu-west-1:123456789012:function:gone"), b"one")
    (error,) = eventually(lambda: errors(client))
    assert error["errorCode"] == "Lambda.ResourceNotFound"


def test_each_record_has_its_own_result(
    client: Client, stream: Callable[..., str], function: Callable[..., str], eventually: Eventually
) -> None:
    put(client, stream(function(UPPER)), b"one", b"drop", b"fail", b"forget", b"two")
    found = eventually(lambda: len(errors(client)) == 2 and errors(client))
    kinds = {base64.b64decode(error["rawData"]): error["errorCode"] for error in found}
    assert kinds == {b"fail": "Lambda.ProcessingFailedStatus", b"forget": "Lambda.MissingRecordId"}
    assert list(eventually(lambda: objects(client, "in/")).values()) == [b"ONE\nTWO\n"]


def test_while_s3_fails_nothing_is_lost(client: Client, stream: Callable[..., str], eventually: Eventually) -> None:
    name = stream(BucketARN="arn:aws:s3:::later")
    put(client, name, b"one")
    time.sleep(0.5)  # a first try may fail meanwhile; whether it does, the record has to arrive
    put(client, name, b"two")
    client("s3").create_bucket(Bucket="later", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    eventually(lambda: b"".join(sorted(objects(client, "in/", "later").values())) == b"onetwo")


def test_the_tag_sets_how_many_calls_throttle(client: Client, stream: Callable[..., str]) -> None:
    name = stream()
    firehose = client("firehose")
    firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": backend.FAIL_CALLS, "Value": "1000"}])
    with pytest.raises(ClientError) as refused:
        put(client, name, b"one")
    assert code(refused) == "ServiceUnavailableException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": backend.FAIL_CALLS, "Value": "0"}])
    assert put(client, name, b"one")["FailedPutCount"] == 0
    with pytest.raises(ClientError, match="often"):
        firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": backend.FAIL_CALLS, "Value": "often"}])


def test_the_tag_sets_which_share_of_a_batch_fails(
    client: Client, stream: Callable[..., str], eventually: Eventually
) -> None:
    name = stream()
    client("firehose").tag_delivery_stream(
        DeliveryStreamName=name, Tags=[{"Key": backend.FAIL_RECORDS, "Value": "0.5"}]
    )
    waiting, calls = [b"%03d\n" % number for number in range(200)], 0
    while waiting:
        answer = put(client, name, *waiting)
        failed = ["ErrorCode" in item for item in answer["RequestResponses"]]
        assert answer["FailedPutCount"] == sum(failed)
        assert {item.get("ErrorCode") for item in answer["RequestResponses"]} <= {None, "ServiceUnavailableException"}
        waiting = [item for item, again in zip(waiting, failed, strict=True) if again]
        calls += 1
    assert calls > 3
    client("firehose").untag_delivery_stream(DeliveryStreamName=name, TagKeys=[backend.FAIL_RECORDS])
    assert put(client, name, b"999\n")["FailedPutCount"] == 0
    wanted = sorted([b"%03d\n" % number for number in range(200)] + [b"999\n"])
    eventually(lambda: sorted(b"".join(objects(client, "in/").values()).splitlines(keepends=True)) == wanted)


def test_a_stream_that_is_full_throttles_until_it_has_delivered(
    client: Client, stream: Callable[..., str], monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr("twin.firehose.stream.UNDELIVERED_BYTES", 1000)
    name = stream(BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 900})
    assert put(client, name, b"x" * 1000)["FailedPutCount"] == 0
    assert put(client, name, b"x", b"y")["FailedPutCount"] == 2
    redirect(client, name, BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 0})
    eventually(lambda: put(client, name, b"z")["FailedPutCount"] == 0)


def test_a_put_is_read_unchanged(
    client: Client, stream: Callable[..., str], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_a_form(*_: Any, **__: Any) -> Any:
        raise AssertionError("a put's body is read as a form")

    name = stream()
    raw = [bytes(range(256)), b"a=b&c=d;%41", "grüße".encode(), b""]
    with monkeypatch.context() as patch:
        patch.setattr("moto.core.responses.parse_qsl", as_a_form)
        put(client, name, *raw)
    assert list(eventually(lambda: objects(client, "in/")).values()) == [b"".join(raw)]


def test_records_are_transformed_and_delivered_together(
    client: Client, stream: Callable[..., str], function: Callable[..., str], eventually: Eventually
) -> None:
    settings = {"CompressionFormat": "GZIP", "FileExtension": ".txt.gz"}
    settings["BufferingHints"] = {"SizeInMBs": 5, "IntervalInSeconds": 60}  # type: ignore[assignment]
    name = stream(function(UPPER), **settings)
    ids = {item["RecordId"] for item in put(client, name, b"one", b"two", b"three")["RequestResponses"]}
    assert len(ids) == 3
    ((key, body),) = eventually(lambda: objects(client, "in/")).items()
    assert re.fullmatch(r"in/(\d\d\d\d)/(\d\d)/(\d\d)/(\d\d)/s-1-\1-\2-\3-\4-\d\d-\d\d-[0-9a-f-]{36}\.txt\.gz", key)
    assert gzip.decompress(body) == b"ONE\nTWO\nTHREE\n"


def test_a_full_buffer_is_delivered_before_its_time(
    client: Client, stream: Callable[..., str], eventually: Eventually
) -> None:
    name = stream(BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 900})
    put(client, name, *[b"x" * 600_000] * 4)
    found = eventually(lambda: len(objects(client, "in/")) == 2 and objects(client, "in/"))
    assert all(len(body) == 1_200_000 for body in found.values())


def test_a_changed_destination_applies_to_later_records(
    client: Client, stream: Callable[..., str], eventually: Eventually
) -> None:
    name = stream()
    with pytest.raises(ClientError, match="Snappy"):
        redirect(client, name, CompressionFormat="Snappy")
    redirect(client, name, Prefix="new/")
    put(client, name, b"one")
    (key,) = eventually(lambda: objects(client, "new/"))
    assert "/s-2-" in key


def test_a_stream_that_is_deleted_takes_nothing_more(client: Client, stream: Callable[..., str]) -> None:
    name = stream()
    client("firehose").delete_delivery_stream(DeliveryStreamName=name)
    with pytest.raises(ClientError):
        put(client, name, b"one")
    assert put(client, stream(), b"one")["FailedPutCount"] == 0


def test_an_error_is_written_to_the_streams_log(
    client: Client, stream: Callable[..., str], eventually: Eventually
) -> None:
    logs = client("logs")
    logs.create_log_group(logGroupName="/g")
    logs.create_log_stream(logGroupName="/g", logStreamName="l")
    options = {"Enabled": True, "LogGroupName": "/g", "LogStreamName": "l"}
    put(client, stream("arn:aws:lambda:eu-west-1:123456789012:function:gone", CloudWatchLoggingOptions=options), b"one")
    (event,) = eventually(lambda: logs.get_log_events(logGroupName="/g", logStreamName="l")["events"])
    body = json.loads(event["message"])
    assert body["errorCode"] == "Lambda.ResourceNotFound"
    assert body["deliveryStreamARN"].endswith(":deliverystream/s")


def test_puts_processing_and_delivery_are_measured(
    client: Client, stream: Callable[..., str], function: Callable[..., str], eventually: Eventually
) -> None:
    name = stream(function(UPPER))
    client("firehose").tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": backend.FAIL_CALLS, "Value": "1"}])
    put(client, name, b"one", b"two")  # the client's own second try succeeds
    eventually(lambda: objects(client, "in/"))

    def total(metric: str) -> float:
        answer = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Firehose",
            MetricName=metric,
            Dimensions=[{"Name": "DeliveryStreamName", "Value": name}],
            StartTime=time.time() - 3600,
            EndTime=time.time() + 3600,
            Period=7200,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))

    eventually(lambda: total("DeliveryToS3.Success") == 1)
    assert total("IncomingRecords") == 2
    assert total("IncomingBytes") == 6
    assert total("ThrottledRecords") == 2
    assert total("DeliveryToS3.Records") == 2
    assert total("ExecuteProcessing.Success") == 1


def test_encryption_shows_in_the_answers(client: Client, stream: Callable[..., str]) -> None:
    name = stream()
    assert put(client, name, b"one")["Encrypted"] is False
    client("firehose").start_delivery_stream_encryption(
        DeliveryStreamName=name, DeliveryStreamEncryptionConfigurationInput={"KeyType": "AWS_OWNED_CMK"}
    )
    assert put(client, name, b"one")["Encrypted"] is True
