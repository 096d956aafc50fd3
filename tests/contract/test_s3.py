"""S3's events look on the twin as on AWS, and a body is stored whatever its content type says."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

Client = Callable[[str], Any]

DEADLINE_SECONDS = 60.0
PART = b"x" * 5 * 1024 * 1024


@pytest.fixture
def bucket(client: Client) -> str:
    """A versioned bucket whose events arrive in the queue `events`."""
    client("s3").create_bucket(Bucket="landing", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client("s3").put_bucket_versioning(Bucket="landing", VersioningConfiguration={"Status": "Enabled"})
    _listen(client, "landing")
    return "landing"


def _listen(client: Client, bucket: str) -> None:
    configuration: dict[str, Any] = {"EventBridgeConfiguration": {}}
    client("s3").put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    arn = "arn:aws:sqs:eu-west-1:123456789012:events"
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]}
    client("sqs").create_queue(QueueName="events", Attributes={"Policy": json.dumps(policy)})
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    client("events").put_rule(Name="all", EventPattern=json.dumps(pattern))
    client("events").put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])


def _events(client: Client, count: int) -> list[dict[str, Any]]:
    """The next `count` events, and whatever else comes within half a second."""
    url = client("sqs").get_queue_url(QueueName="events")["QueueUrl"]
    found: list[dict[str, Any]] = []
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        for received in client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            found.append(json.loads(received["Body"]))
            client("sqs").delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
        if len(found) >= count:
            end = min(end, time.monotonic() + 0.5)
        time.sleep(0.02)
    return found


def test_the_event_of_a_new_object_has_awss_shape(client: Client, bucket: str) -> None:
    put = client("s3").put_object(Bucket=bucket, Key="ratings/upload/a b.csv", Body=b"12345")
    (event,) = _events(client, 1)
    assert event["source"] == "aws.s3"
    assert event["detail-type"] == "Object Created"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["time"])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event["id"])
    assert event["resources"] == ["arn:aws:s3:::landing"]
    assert event["detail"]["reason"] == "PutObject"
    described = event["detail"]["object"]
    assert set(described) == {"key", "size", "etag", "version-id", "sequencer"}
    assert described["key"] == "ratings/upload/a b.csv"
    assert described["size"] == 5
    assert (described["etag"], described["version-id"]) == (put["ETag"].strip('"'), put["VersionId"])


def test_a_multipart_upload_is_one_event(client: Client, bucket: str) -> None:
    upload = client("s3").create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    parts = []
    for number, body in enumerate((PART, b"end"), start=1):
        given = {"Bucket": bucket, "Key": "big", "UploadId": upload, "PartNumber": number}
        parts.append({"ETag": client("s3").upload_part(**given, Body=body)["ETag"], "PartNumber": number})
    whole = {"Bucket": bucket, "Key": "big", "UploadId": upload, "MultipartUpload": {"Parts": parts}}
    done = client("s3").complete_multipart_upload(**whole)
    (event,) = _events(client, 1)
    assert event["detail"]["reason"] == "CompleteMultipartUpload"
    assert event["detail"]["object"]["etag"] == done["ETag"].strip('"')
    assert event["detail"]["object"]["version-id"] == done["VersionId"]
    assert event["detail"]["object"]["size"] == len(PART) + 3


def test_the_event_of_a_copy_has_its_reason(client: Client, bucket: str) -> None:
    client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    client("s3").copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    assert sorted(event["detail"]["reason"] for event in _events(client, 2)) == ["CopyObject", "PutObject"]


def test_events_of_one_key_are_ordered_by_their_sequencer(client: Client, bucket: str) -> None:
    versions = [client("s3").put_object(Bucket=bucket, Key="a", Body=body)["VersionId"] for body in (b"1", b"2", b"3")]
    objects = [event["detail"]["object"] for event in _events(client, 3)]
    sequencers = [described["sequencer"] for described in objects]
    in_order = sorted(objects, key=lambda described: str(described["sequencer"]))
    assert [described["version-id"] for described in in_order] == versions
    assert len(set(sequencers)) == 3
    assert all(len(sequencer) == 18 for sequencer in sequencers)


def test_without_versions_an_event_has_no_version_and_a_deletion_has_no_event(client: Client, server: object) -> None:
    client("s3").create_bucket(Bucket="plain", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    _listen(client, "plain")
    client("s3").put_object(Bucket="plain", Key="a", Body=b"1")
    client("s3").delete_object(Bucket="plain", Key="a")
    (created,) = _events(client, 1)
    assert created["detail-type"] == "Object Created"
    assert "version-id" not in created["detail"]["object"]


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/csv"]
)
def test_a_body_is_stored_whatever_its_content_type(client: Client, bucket: str, content_type: str) -> None:
    url = client("s3").generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a"})
    headers = {"Content-Type": content_type}
    request = urllib.request.Request(url, data=b"key=1&file=%41", method="PUT", headers=headers)  # noqa: S310 - ours
    with urllib.request.urlopen(request):  # noqa: S310 - ours
        pass
    stored = client("s3").get_object(Bucket=bucket, Key="a")
    assert stored["Body"].read() == b"key=1&file=%41"


def _policy(client: Client, bucket: str, condition: dict[str, Any]) -> None:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        **condition,
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))


def test_a_policy_that_wants_tls_does_not_lock_the_twin_out(client: Client, bucket: str) -> None:
    _policy(client, bucket, {"Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    assert client("s3").get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    assert client("s3").head_object(Bucket=bucket, Key="a")["ContentLength"] == 1


def test_a_policy_that_denies_everything_still_does(client: Client, bucket: str) -> None:
    _policy(client, bucket, {})
    with pytest.raises(client("s3").exceptions.ClientError, match=r"403|Forbidden|AccessDenied"):
        client("s3").head_object(Bucket=bucket, Key="a")
