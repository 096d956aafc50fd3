"""Quarantine files: found by their digest, read line by line, their bytes shown so that no terminal is harmed."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cli.errors import CommandError
from cli.target import Target
from usher.schema.datasets import DATASETS
from usher.schema.s3_paths import quarantine_prefix

#: How much of a bad line is shown.
SHOWN_CHARACTERS = 160
#: A line of a quarantine file holds at most some 4 KiB of raw bytes; one far longer is not ours.
RECORD_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class QuarantineFile:
    """One object's refused rows. key: `quarantine/<dataset>/dt=<day>/<digest>.jsonl`."""

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
    """The one file whose digest begins with `digest`; CommandError when there is none or more than one."""
    found = [file for file in listed(target) if file.digest.startswith(digest)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(f"there is no quarantine file {digest}: `usher quarantine list` shows those there are")
    raise CommandError(f"{len(found)} quarantine files begin with {digest}: give more of the digest")


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
    """The file's records, streamed; CommandError naming the line that is no quarantine record."""
    body = target.client("s3").get_object(Bucket=file.bucket, Key=file.key)["Body"]
    for number, line in enumerate(body.iter_lines(chunk_size=1 << 18), start=1):
        if not line.strip():
            continue
        if len(line) > RECORD_MAX_BYTES:
            raise CommandError(f"s3://{file.bucket}/{file.key} line {number} is longer than a quarantine record can be")
        try:
            yield _record(json.loads(line))
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise CommandError(f"s3://{file.bucket}/{file.key} line {number} is no quarantine record") from error


def _record(fields: dict[str, Any]) -> Record:
    raw = base64.b64decode(fields["raw_base64"], validate=True)
    size = int(fields.get("bytes") or len(raw))
    return Record(str(fields["reason"]), str(fields.get("field") or ""), int(fields["line"]), size, raw)


def shown(record: Record, limit: int = SHOWN_CHARACTERS) -> str:
    """A bad line as text: bytes that are no UTF-8 and characters that are not printable are escaped, long ones cut."""
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
