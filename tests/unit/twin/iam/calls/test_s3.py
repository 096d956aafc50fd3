"""Which actions S3 checks, path style and virtual-host style."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig

from tests.unit.twin.iam.calls.conftest import Sends, client, http_call, request_of
from twin.iam.calls import MalformedCall, UnknownCall, checks_of, needs_body, operation_of
from twin.iam.request import Check, HttpCall

BUCKET = "arn:aws:s3:::lake"
OBJECT = f"{BUCKET}/runs/r-1/plan.json"
AT = {"Bucket": "lake", "Key": "runs/r-1/plan.json"}
UPLOAD = {**AT, "UploadId": "u"}


def pairs(checks: list[Check]) -> list[tuple[str, str]]:
    return [(check.action, check.resource) for check in checks]


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        ("list_buckets", {}, [("s3:ListAllMyBuckets", "*")]),
        ("head_bucket", {"Bucket": "lake"}, [("s3:ListBucket", BUCKET)]),
        ("list_objects", {"Bucket": "lake"}, [("s3:ListBucket", BUCKET)]),
        ("list_objects_v2", {"Bucket": "lake"}, [("s3:ListBucket", BUCKET)]),
        ("list_object_versions", {"Bucket": "lake"}, [("s3:ListBucketVersions", BUCKET)]),
        ("list_multipart_uploads", {"Bucket": "lake"}, [("s3:ListBucketMultipartUploads", BUCKET)]),
        ("get_bucket_location", {"Bucket": "lake"}, [("s3:GetBucketLocation", BUCKET)]),
        ("get_bucket_encryption", {"Bucket": "lake"}, [("s3:GetEncryptionConfiguration", BUCKET)]),
        ("delete_bucket_encryption", {"Bucket": "lake"}, [("s3:PutEncryptionConfiguration", BUCKET)]),
        ("get_bucket_notification_configuration", {"Bucket": "lake"}, [("s3:GetBucketNotification", BUCKET)]),
        ("get_public_access_block", {"Bucket": "lake"}, [("s3:GetBucketPublicAccessBlock", BUCKET)]),
        ("create_bucket", {"Bucket": "lake"}, [("s3:CreateBucket", BUCKET)]),
        ("get_object", AT, [("s3:GetObject", OBJECT)]),
        ("get_object", {**AT, "VersionId": "v"}, [("s3:GetObjectVersion", OBJECT)]),
        ("get_object", {**AT, "PartNumber": 1}, [("s3:GetObject", OBJECT)]),
        ("head_object", AT, [("s3:GetObject", OBJECT)]),
        ("head_object", {**AT, "VersionId": "v"}, [("s3:GetObjectVersion", OBJECT)]),
        ("put_object", {**AT, "Body": b"x"}, [("s3:PutObject", OBJECT)]),
        ("put_object", {**AT, "Tagging": "a=b"}, [("s3:PutObject", OBJECT), ("s3:PutObjectTagging", OBJECT)]),
        ("put_object", {**AT, "ACL": "private"}, [("s3:PutObject", OBJECT), ("s3:PutObjectAcl", OBJECT)]),
        ("delete_object", AT, [("s3:DeleteObject", OBJECT)]),
        ("delete_object", {**AT, "VersionId": "v"}, [("s3:DeleteObjectVersion", OBJECT)]),
        (
            "copy_object",
            {**AT, "CopySource": "landing/a b/é.csv"},
            [("s3:GetObject", "arn:aws:s3:::landing/a b/é.csv"), ("s3:PutObject", OBJECT)],
        ),
        (
            "copy_object",
            {**AT, "CopySource": {"Bucket": "landing", "Key": "a+b", "VersionId": "v"}},
            [("s3:GetObjectVersion", "arn:aws:s3:::landing/a+b"), ("s3:PutObject", OBJECT)],
        ),
        ("create_multipart_upload", AT, [("s3:PutObject", OBJECT)]),
        ("upload_part", {**UPLOAD, "PartNumber": 1, "Body": b"x"}, [("s3:PutObject", OBJECT)]),
        (
            "upload_part_copy",
            {**UPLOAD, "PartNumber": 1, "CopySource": "landing/a"},
            [("s3:GetObject", "arn:aws:s3:::landing/a"), ("s3:PutObject", OBJECT)],
        ),
        ("complete_multipart_upload", UPLOAD, [("s3:PutObject", OBJECT)]),
        ("abort_multipart_upload", UPLOAD, [("s3:AbortMultipartUpload", OBJECT)]),
        ("list_parts", UPLOAD, [("s3:ListMultipartUploadParts", OBJECT)]),
        ("get_object_tagging", AT, [("s3:GetObjectTagging", OBJECT)]),
        ("get_object_tagging", {**AT, "VersionId": "v"}, [("s3:GetObjectVersionTagging", OBJECT)]),
        ("put_object_tagging", {**AT, "Tagging": {"TagSet": []}}, [("s3:PutObjectTagging", OBJECT)]),
        (
            "get_object_attributes",
            {**AT, "ObjectAttributes": ["ETag"]},
            [("s3:GetObjectAttributes", OBJECT), ("s3:GetObject", OBJECT)],
        ),
        (
            "delete_objects",
            {"Bucket": "lake", "Delete": {"Objects": [{"Key": "a&b <c>"}, {"Key": "d", "VersionId": "v"}]}},
            [("s3:DeleteObject", f"{BUCKET}/a&b <c>"), ("s3:DeleteObjectVersion", f"{BUCKET}/d")],
        ),
    ],
)
@pytest.mark.parametrize(
    ("style", "endpoint"),
    [("path", "http://127.0.0.1:5000"), ("virtual", None), ("virtual", "http://localhost:5000")],
    ids=["path", "virtual", "localhost"],
)
def test_an_operation_is_checked_as_on_aws(
    style: str, endpoint: str | None, operation: str, parameters: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    s3 = client("s3", style, endpoint)
    call = request_of(lambda: getattr(s3, operation)(**parameters))
    assert pairs(checks_of(call)) == expected
    assert operation_of(call).lower() == f"s3:{operation.replace('_', '')}"
    assert needs_body(call) is (operation == "delete_objects")


def test_a_key_is_decoded_once(sends: Sends) -> None:
    (check,) = checks_of(sends("s3", "get_object", Bucket="lake", Key="a%20b/ü+ü/?x"))
    assert check.resource == f"{BUCKET}/a%20b/ü+ü/?x"


def test_a_listing_carries_its_conditions(sends: Sends) -> None:
    (check,) = checks_of(
        sends("s3", "list_objects_v2", Bucket="lake", Prefix="runs/a b&c/", Delimiter="/", MaxKeys=5, StartAfter="x")
    )
    assert check.context == {"s3:prefix": ("runs/a b&c/",), "s3:delimiter": ("/",), "s3:max-keys": ("5",)}
    (check,) = checks_of(sends("s3", "list_object_versions", Bucket="lake", Prefix=""))
    assert check.context == {"s3:prefix": ("",)}
    (check,) = checks_of(sends("s3", "list_objects_v2", Bucket="lake"))
    assert check.context == {}


def test_a_write_carries_its_conditions(sends: Sends) -> None:
    put, tagging = checks_of(
        sends(
            *("s3", "put_object"),
            **AT,
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId="k",
            StorageClass="STANDARD_IA",
            IfNoneMatch="*",
            Tagging="Run=r%201",
        )
    )
    tags = {"s3:requestobjecttag/run": ("r 1",), "s3:requestobjecttagkeys": ("Run",)}
    assert put.context == {
        "s3:x-amz-server-side-encryption": ("aws:kms",),
        "s3:x-amz-server-side-encryption-aws-kms-key-id": ("k",),
        "s3:x-amz-storage-class": ("STANDARD_IA",),
        "s3:if-none-match": ("*",),
        **tags,
    }
    assert (tagging.action, tagging.context) == ("s3:PutObjectTagging", tags)
    _, copied = checks_of(sends("s3", "copy_object", **AT, CopySource="a/b c", MetadataDirective="REPLACE"))
    assert copied.context == {"s3:x-amz-copy-source": ("a/b c",), "s3:x-amz-metadata-directive": ("REPLACE",)}


def test_a_version_is_in_the_context(sends: Sends) -> None:
    (check,) = checks_of(sends("s3", "get_object", **AT, VersionId="v"))
    assert check.context == {"s3:versionid": ("v",)}


def test_a_presigned_url_is_the_call_that_it_was_signed_for() -> None:
    url = client("s3").generate_presigned_url("put_object", AT)
    path, _, query = url.removeprefix("http://127.0.0.1:5000").partition("?")
    call = HttpCall("s3", "eu-west-1", "PUT", path, query, {"host": "127.0.0.1:5000"}, b"")
    assert pairs(checks_of(call)) == [("s3:PutObject", OBJECT)]


def test_a_transfer_in_parts_needs_put_object_alone(tmp_path: Any) -> None:
    """`upload_file` above its threshold: boto3's own transfer, whose requests are answered here."""
    file = tmp_path / "large"
    file.write_bytes(bytes(11 * 1024 * 1024))
    seen: list[HttpCall] = []
    s3 = boto3.client(
        "s3",
        region_name="eu-west-1",
        endpoint_url="http://127.0.0.1:5000",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )

    def answer(request: Any, **_: Any) -> Any:
        seen.append(http_call(request))
        return Answer(request.url, request.method == "POST")

    s3.meta.events.register("before-send", answer)
    s3.upload_file(str(file), "lake", AT["Key"], Config=TransferConfig(multipart_threshold=1, use_threads=False))
    operations = [operation_of(call) for call in seen]
    assert operations == ["s3:CreateMultipartUpload", "s3:UploadPart", "s3:UploadPart", "s3:CompleteMultipartUpload"]
    assert {pair for call in seen for pair in pairs(checks_of(call))} == {("s3:PutObject", OBJECT)}


class Answer:
    """S3's answer to a request of an upload in parts."""

    status_code = 200

    def __init__(self, url: str, has_upload_id: bool) -> None:
        self.url, self.headers = url, {"ETag": '"e"'}
        self.content = b"<R><UploadId>u</UploadId></R>" if has_upload_id else b""


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("get_object_torrent", AT),
        ("restore_object", AT),
        ("get_bucket_replication", {"Bucket": "lake"}),
        ("get_object_retention", AT),
        ("put_bucket_website", {"Bucket": "lake", "WebsiteConfiguration": {}}),
    ],
)
def test_an_operation_that_the_table_lacks_is_unknown_and_no_other_one(
    sends: Sends, operation: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(UnknownCall, match=r"add the operation to twin/iam/calls/s3\.py"):
        checks_of(sends("s3", operation, **parameters))


def test_a_broken_request_is_malformed() -> None:
    def call(body: bytes = b"", **headers: str) -> HttpCall:
        method, path, query = ("POST", "/lake", "delete") if not headers else ("PUT", "/lake/k", "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return HttpCall("s3", "eu-west-1", method, path, query, {"host": "127.0.0.1", **named}, body)

    for broken in (call(b""), call(b"<Delete></Delete>"), call(b"<Delete"), call(x_amz_copy_source="bucket-only")):
        with pytest.raises(MalformedCall):
            checks_of(broken)
