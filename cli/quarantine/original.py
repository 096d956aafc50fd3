"""The landing object that refused lines came from: what it was, and the header that its lines need."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from cli.errors import CommandError
from cli.quarantine.files import QuarantineFile
from cli.target import Target
from usher.schema.ids import is_stream_digest, object_digest
from usher.schema.s3_paths import parse_landing_key

#: How much of the object is read to find its header.
HEAD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Original:
    """Where the lines came from.

    dataset: the one that the landing key names; a replay goes to the same, so that the same rules route it.
    kind:    csv, or jsonl for JSON lines, streams and Parquet (whose rows are quarantined as JSON).
    header:  the first line of a CSV object, without its newline; empty for JSON lines.
    """

    key: str
    dataset: str
    kind: str
    header: bytes


def find(target: Target, file: QuarantineFile, header: str) -> Original:
    """The object behind a quarantine file; CommandError when the ledger has it no more.

    header: what the user says the header is; without it, CommandError also when the landing bucket lost the object.
    """
    if is_stream_digest(file.digest):
        return Original(file.key, file.dataset, "jsonl", b"")
    entry = target.ledger().find(file.digest)
    if entry is None:
        raise CommandError(f"the ledger has no object {file.digest}: it is still being read, or its item was deleted")
    dataset = parse_landing_key(entry.key).dataset
    head = _head(target, entry.bucket, entry.key, file.digest)
    if head is None:
        if not header:
            raise CommandError(f"{entry.key} is gone from the landing bucket: give its header with --header")
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
    """The beginning of exactly the version that was read (the key may have a newer one); None when it is gone."""
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
