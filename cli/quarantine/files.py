"""Read quarantine files: find one by its digest, stream its records, escape their bytes, find the original object."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cli.errors import CommandError
from cli.target import Target
from usher.schema.datasets import DATASETS
from usher.schema.ids import is_stream_digest, object_digest
from usher.schema.s3_paths import parse_landing_key, quarantine_prefix

#: How much of a bad line is shown.
SHOWN_CHARACTERS = 160
#: Ingest writes at most about 4 KiB of raw bytes in a line; a far longer one is not a quarantine record.
RECORD_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class QuarantineFile:
    """The refused rows of one object. key: `quarantine/<dataset>/dt=<day>/<digest>.jsonl`."""

    bucket: str
    key: str
    size_bytes: int

    @property
    def dataset(self) -> str:
        return self.key.split("/")[1]

    @property
    def day(self) -> str:
        return self.key.split("/")[2].removeprefix("dt=")

    @property
    def digest(self) -> str:
        return self.key.rsplit("/", 1)[-1].removesuffix(".jsonl")


@dataclass(frozen=True, slots=True)
class Record:
    """One refused line.

    line:       its number in the landing object, from 1 (of a Parquet file: the row).
    size_bytes: the whole line's length; `raw` may be only its head.
    """

    reason: str
    field: str
    line: int
    size_bytes: int
    raw: bytes

    @property
    def whole(self) -> bool:
        return len(self.raw) >= self.size_bytes


def find(target: Target, digest: str) -> QuarantineFile:
    """The file whose digest begins with `digest`; CommandError unless exactly one does."""
    found = [file for file in listed(target) if file.digest.startswith(digest)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(f"quarantine file {digest} not found: `usher quarantine list` shows the digests")
    raise CommandError(f"{len(found)} quarantine files begin with {digest}: give more characters of the digest")


def listed(target: Target) -> Iterator[QuarantineFile]:
    """Every quarantine file."""
    bucket = target.resources.lake_bucket
    for dataset in DATASETS:
        pages = target.client("s3").get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=quarantine_prefix(dataset)):
            for item in page.get("Contents", []):
                if item["Key"].endswith(".jsonl") and item["Key"].count("/") == 3:
                    yield QuarantineFile(bucket, item["Key"], item["Size"])


def records(target: Target, file: QuarantineFile) -> Iterator[Record]:
    """Stream the file's records; CommandError names a line that is not a quarantine record."""
    body = target.client("s3").get_object(Bucket=file.bucket, Key=file.key)["Body"]
    for number, line in enumerate(body.iter_lines(chunk_size=1 << 18), start=1):
        if not line.strip():
            continue
        if len(line) > RECORD_MAX_BYTES:
            raise CommandError(
                f"s3://{file.bucket}/{file.key} line {number} is too long for a quarantine record: repair the file"
            )
        try:
            yield _record(json.loads(line))
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise CommandError(
                f"s3://{file.bucket}/{file.key} line {number} is not a quarantine record: delete or repair the file"
            ) from error


def _record(fields: dict[str, Any]) -> Record:
    raw = base64.b64decode(fields["raw_base64"], validate=True)
    size = int(fields.get("bytes") or len(raw))
    return Record(str(fields["reason"]), str(fields.get("field") or ""), int(fields["line"]), size, raw)


def shown(record: Record, limit: int = SHOWN_CHARACTERS) -> str:
    """A refused line as text: invalid UTF-8 and unprintable characters are escaped, long lines are cut."""
    text = record.raw.decode("utf-8", "backslashreplace")
    escaped, cut = [], False
    length = 0
    for letter in text:
        piece = letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        if length + len(piece) > limit:
            cut = True
            break
        escaped.append(piece)
        length += len(piece)
    tail = f"… ({record.size_bytes:,} bytes)" if cut or not record.whole else ""
    return "".join(escaped) + tail


#: How much of the object is read to find its header.
HEAD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Original:
    """The landing object that the lines came from.

    dataset: the one in the landing key; a replay goes to the same data set, so that the same rules apply.
    kind:    csv, or jsonl for JSON lines, streams and Parquet (whose rows are quarantined as JSON).
    header:  the first line of a CSV object, without its newline; empty for JSON lines.
    """

    key: str
    dataset: str
    kind: str
    header: bytes


def find_original(target: Target, file: QuarantineFile, header: str) -> Original:
    """The object behind a quarantine file.

    header: the header that the user gave. Raises CommandError when the object's record is not in the state table, and
    when the object was deleted from the landing bucket and no header was given.
    """
    if is_stream_digest(file.digest):
        return Original(file.key, file.dataset, "jsonl", b"")
    entry = target.ingested_objects().find(file.digest)
    if entry is None:
        raise CommandError(
            f"the state table has no record of object {file.digest}: wait until it is ingested, or upload it again"
        )
    dataset = parse_landing_key(entry.key).dataset
    head = _head(target, entry.bucket, entry.key, file.digest)
    if head is None:
        if not header:
            raise CommandError(f"{entry.key} was deleted from the landing bucket: give its header with --header")
        return Original(entry.key, dataset, "csv", header.encode())
    if head[:4] == b"PAR1":
        return Original(entry.key, dataset, "jsonl", b"")
    if head[:2] == b"\x1f\x8b":
        head = _unzipped(head)
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r")
    if first.lstrip().startswith(b"{"):
        return Original(entry.key, dataset, "jsonl", b"")
    return Original(entry.key, dataset, "csv", first)


def _head(target: Target, bucket: str, key: str, digest: str) -> bytes | None:
    """The beginning of the version that was ingested (the key may have a newer one); None when it was deleted."""
    s3 = target.client("s3")
    version = _version_of(s3, bucket, key, digest)
    if version is None:
        return None
    body = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{HEAD_BYTES - 1}", **version)["Body"]
    head: bytes = body.read(HEAD_BYTES)
    return head


def _version_of(s3: Any, bucket: str, key: str, digest: str) -> dict[str, str] | None:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        for version in page.get("Versions", []):
            name = version["VersionId"] if version.get("VersionId", "null") != "null" else version["ETag"]
            if version["Key"] == key and object_digest(bucket, key, name) == digest:
                return {} if name == version["ETag"] else {"VersionId": version["VersionId"]}
    return None


def _unzipped(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""
