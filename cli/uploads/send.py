"""Upload a file to the landing bucket once, under its content's digest, and follow it until its rows are ingested."""

from __future__ import annotations

import gzip
import hashlib
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CommandError
from cli.target import Target
from cli.uploads.recognise import Recognised
from usher.schema.ids import object_digest
from usher.schema.s3_paths import upload_key

if TYPE_CHECKING:
    from usher.store.ingested_objects import IngestedObject

_CHUNK = 1 << 20
#: Larger files are uploaded in parallel parts.
MULTIPART_BYTES = 16 * _CHUNK
_CONTENT_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True, slots=True)
class Measured:
    """A file with its size and digest.

    rows: lines without the header; None for Parquet.
    """

    file: Recognised
    size_bytes: int
    sha256: str
    rows: int | None

    @property
    def key(self) -> str:
        """The object key: the same content has the same key, so that sending it twice does not count it twice."""
        return upload_key(self.file.dataset, f"{self.sha256[:16]}-{self.file.path.name}")


@dataclass(frozen=True, slots=True)
class Sent:
    """An object in the landing bucket.

    digest: its id in the state table.
    fresh:  False when the same content was in the bucket already and nothing was sent.
    """

    measured: Measured
    bucket: str
    key: str
    digest: str
    fresh: bool


def measure(file: Recognised) -> Measured:
    """Read a file once for its digest, size and rows."""
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
    """Lines of a gzip file; None when it is damaged (ingest keeps the rows before the damage)."""
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
    """Upload a file unless the bucket has its content; `progress` receives the number of bytes of each part.

    again: upload it in any case, as a new version of the object; its rows count again.
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
        raise CommandError(f"s3://{bucket}/{key} was deleted during the upload: send it again")
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
    """The version id, or the ETag in a bucket without versioning (S3 then returns nothing or `null`)."""
    version = str(head.get("VersionId") or "null")
    return version if version != "null" else str(head["ETag"])


#: Seconds between two polls of the state table.
POLL_SECONDS = 0.3
_ENDED = ("committed", "gone")


def follow(
    target: Target,
    sent: Sequence[Sent],
    timeout_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Mapping[str, IngestedObject]]:
    """Yield the records by digest at each poll, until all objects have ended or the time is over."""
    ingested, deadline = target.ingested_objects(), clock() + timeout_seconds
    digests = [item.digest for item in sent]
    while True:
        entries = ingested.find_all(digests)
        yield entries
        if not unfinished(entries, digests) or clock() >= deadline:
            return
        sleep(POLL_SECONDS)


def unfinished(entries: Mapping[str, IngestedObject], digests: Sequence[str]) -> list[str]:
    """The digests of objects that are not ingested yet."""
    return [digest for digest in digests if digest not in entries or entries[digest].status not in _ENDED]


def faults(entries: Mapping[str, IngestedObject], sent: Sequence[Sent]) -> list[str]:
    """One line for each object that was not ingested, was deleted, or whose row counts do not add up."""
    lines = []
    for item in sent:
        entry = entries.get(item.digest)
        if entry is None:
            lines.append(f"{item.key}: not read yet")
        elif entry.status == "gone":
            lines.append(f"{item.key}: deleted before it was read")
        elif entry.status != "committed":
            lines.append(f"{item.key}: {entry.status}, not committed yet")
        elif entry.rows_in != entry.rows_ok + entry.rows_bad:
            lines.append(
                f"{item.key}: {entry.rows_in} rows in, but {entry.rows_ok} accepted + {entry.rows_bad} refused"
            )
    return lines
