"""The requests of Arrow's S3 file system, which PyIceberg reads and writes tables with: they are not botocore's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from pyarrow import fs

from twin.iam.calls import checks_of, needs_body, operation_of
from twin.iam.request import Check, HttpCall

BUCKET = "arn:aws:s3:::lake"
XML = '<?xml version="1.0"?><{0} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{1}</{0}>'
ANSWERS = {
    "s3:ListObjectsV2": XML.format("ListBucketResult", "<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>"),
    "s3:CreateMultipartUpload": XML.format("InitiateMultipartUploadResult", "<UploadId>u</UploadId>"),
    "s3:CompleteMultipartUpload": XML.format("CompleteMultipartUploadResult", "<ETag>e</ETag>"),
}


class S3(ThreadingHTTPServer):
    """Answers as S3 does, without objects; a key with `missing` does not exist. seen: the checks of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, list[Check]]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = HttpCall("s3", "eu-west-1", self.command, url.path, url.query, headers, body)
        assert not needs_body(call)
        operation = operation_of(call)
        self.server.seen.append((operation, checks_of(call)))
        text = ANSWERS.get(operation, "").encode()
        self.send_response(404 if self.command == "HEAD" and "missing" in self.path else 200)
        self.send_header("ETag", "e")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def s3() -> Iterator[S3]:
    with S3() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def files(s3: S3) -> fs.S3FileSystem:
    return fs.S3FileSystem(
        access_key="a",
        secret_key="b",
        region="eu-west-1",
        endpoint_override=f"http://127.0.0.1:{s3.server_port}",
    )


def asked(server: S3) -> list[tuple[str, str]]:
    return [(check.action, check.resource) for _, checks in server.seen for check in checks]


def test_a_missing_file_is_looked_for_as_an_object_and_as_a_prefix(s3: S3, files: fs.S3FileSystem) -> None:
    files.get_file_info("lake/lake/ratings/ü a+b/missing.json")
    assert asked(s3) == [("s3:GetObject", f"{BUCKET}/lake/ratings/ü a+b/missing.json"), ("s3:ListBucket", BUCKET)]
    assert s3.seen[1][1][0].context["s3:prefix"] == ("lake/ratings/ü a+b/missing.json/",)


def test_a_file_is_written_with_put_object(s3: S3, files: fs.S3FileSystem) -> None:
    with files.open_output_stream("lake/lake/day=1/x y.parquet") as stream:
        stream.write(b"z")
    assert set(asked(s3)) == {("s3:PutObject", f"{BUCKET}/lake/day=1/x y.parquet")}


def test_a_deletion_puts_the_folders_marker_too(s3: S3, files: fs.S3FileSystem) -> None:
    """So a role that deletes `metadata/*` must be allowed to put `metadata/`."""
    files.delete_file("lake/lake/ratings/metadata/1.json")
    assert ("s3:DeleteObject", f"{BUCKET}/lake/ratings/metadata/1.json") in asked(s3)
    assert ("s3:PutObject", f"{BUCKET}/lake/ratings/metadata/") in asked(s3)
