"""Send one file to the landing bucket, once: its key begins with its content's digest."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.target import Target
from cli.uploads.recognise import Recognised
from usher.schema.ids import object_digest
from usher.schema.s3_paths import upload_key

_CHUNK = 1 << 20
#: Above this a file goes in parts, several at a time.
MULTIPART_BYTES = 16 * _CHUNK
_CONTENT_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True, slots=True)
class Measured:
    """A file looked through before it is sent.

    rows: data rows as lines tell, without the header; None for Parquet.
    """

    file: Recognised
    size_bytes: int
    sha256: str
    rows: int | None

    @property
    def key(self) -> str:
        """The same content always goes to the same key: sending it twice does not count it twice."""
        return upload_key(self.file.dataset, f"{self.sha256[:16]}-{self.file.path.name}")


@dataclass(frozen=True, slots=True)
class Sent:
    """An object in the landing bucket.

    digest: its identity in the ledger.
    fresh:  False when the same content was there already and nothing was sent.
    """

    measured: Measured
    bucket: str
    key: str
    digest: str
    fresh: bool


def measure(file: Recognised) -> Measured:
    """Read a file once for its digest and its rows; CommandError when it cannot be read to its end."""
    digest, size, lines = hashlib.sha256(), 0, 0
    with file.path.open("rb") as stream:
        last = b"\n"
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    lines += last != b"\n"
    rows = None if file.kind == "parquet" else (_compressed_lines(file.path) if file.compressed else lines)
    return Measured(file, size, digest.hexdigest(), rows if rows is None or file.kind != "csv" else max(0, rows - 1))


def _compressed_lines(path: Path) -> int | None:
    """Lines of a gzip file; None when it is damaged: ingest keeps the rows before the damage and says so."""
    lines, last = 0, b"\n"
    try:
        with gzip.open(path) as stream:
            while chunk := stream.read(_CHUNK):
                lines += chunk.count(b"\n")
                last = chunk[-1:]
    except (OSError, EOFError, zlib.error):
        return None
    return lines + (last != b"\n")


def send(target: Target, measured: Measured, progress: Callable[[int], object], *, again: bool = False) -> Sent:
    """Send a file unless its content is there already; `progress` is told the bytes as they go.

    again: send it also when it is there, as a new version of the object, which counts as a new object.
    """
    s3, bucket, key = target.client("s3"), target.resources.landing_bucket, measured.key
    head = None if again else _head(s3, bucket, key)
    fresh = head is None
    if fresh:
        _upload(s3, measured, bucket, key, progress)
        head = _head(s3, bucket, key)
    else:
        progress(measured.size_bytes)
    if head is None:
        raise CommandError(f"s3://{bucket}/{key} was deleted while it was sent")
    return Sent(measured, bucket, key, object_digest(bucket, key, _version(head)), fresh)


def _upload(s3: Any, measured: Measured, bucket: str, key: str, progress: Callable[[int], object]) -> None:
    from boto3.exceptions import Boto3Error  # noqa: PLC0415 - boto3 is loaded by now
    from boto3.s3.transfer import TransferConfig  # noqa: PLC0415

    config = TransferConfig(multipart_threshold=MULTIPART_BYTES, multipart_chunksize=MULTIPART_BYTES, max_concurrency=4)
    extra = {"ContentType": _CONTENT_TYPES[measured.file.kind]}
    try:
        s3.upload_file(str(measured.file.path), bucket, key, ExtraArgs=extra, Config=config, Callback=progress)
    except Boto3Error as error:
        raise CommandError(f"{measured.file.path}: {error}") from error


def _head(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - boto3 is loaded by now

    try:
        head: dict[str, Any] = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return None
        raise
    return head


def _version(head: dict[str, Any]) -> str:
    """The version id, or the ETag where the bucket keeps no versions (S3 then says nothing or `null`)."""
    version = str(head.get("VersionId") or "null")
    return version if version != "null" else str(head["ETag"])
