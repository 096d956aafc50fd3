"""Ingests one landing object: detects its format, writes good rows as Parquet and bad ones to quarantine.

The format follows from the content, and from the name where the content leaves it open. Every row is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usher.errors import OutOfTime
from usher.schema.datasets import Dataset, dataset
from usher.store.ingested_objects import IngestedObject
from usher_lake import parquet_rows
from usher_lake.framer import BOM, DEFAULT_LIMITS, HEAD_BYTES, Limits, Source, frames
from usher_lake.landing import LandingObject, OpenObject, RangedObject, open_object
from usher_lake.reasons import BadRow
from usher_lake.rows import ParsedRows
from usher_lake.sources import GZIP_MAGIC, Gzip, Plain, gzip_limit
from usher_lake.writers import DataFiles, Quarantine

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from usher_lake.header import Header

#: The time needed to start an object, and to close the writers of one.
START_SECONDS = 30.0
FINISH_SECONDS = 15.0
_JSON_NAMES = (".jsonl", ".ndjson", ".json")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def ingest_object(
    s3: S3Client, landing: LandingObject, lake_bucket: str, seconds_left: Callable[[], float]
) -> IngestedObject:
    """Ingest one whole object; its entry in the state table. A repetition writes the same bytes to the same keys.

    seconds_left: the function's remaining time. Raises OutOfTime when it is too short, UnknownLandingKey when the
    key belongs to no data set, ObjectGone when the object was deleted or replaced.
    """
    data = dataset(landing.dataset)
    if seconds_left() < START_SECONDS:
        raise OutOfTime(f"s3://{landing.bucket}/{landing.key} was not started: the next invocation reads it")
    opened = open_object(s3, landing)
    reading = read_object(s3, landing, opened, data)
    quarantine = Quarantine(s3, lake_bucket, landing.digest, opened.landed_at)
    files: DataFiles | None = None
    rows_in = 0
    try:
        for piece in reading.pieces:
            name = _dataset_name(landing, reading.header())
            quarantine.add(name, piece.bad)
            rows_in += piece.bad_rows
            if piece.rows is not None and piece.rows.num_rows and piece.lines is not None:
                files = files or DataFiles(s3, lake_bucket, name, landing.digest, opened.landed_at)
                files.add(piece.rows, piece.lines)
                rows_in += piece.rows.num_rows
            if seconds_left() < FINISH_SECONDS:
                raise OutOfTime(f"s3://{landing.bucket}/{landing.key} takes longer than one invocation: split the file")
        if files is not None:
            files.close()
        quarantine.close()
    except BaseException:
        quarantine.abort()
        if files is not None:
            files.abort()
        raise
    entry = _entry(landing, opened, reading.header(), files, quarantine)
    if rows_in != entry.rows_in:  # the reader's count against that of the writers
        raise AssertionError(f"{landing.key}: {rows_in} rows in, but {entry.rows_ok} good and {entry.rows_bad} bad")
    return entry


def _dataset_name(landing: LandingObject, header: Header | None) -> str:
    return landing.dataset if header is None else header.dataset.name


def _entry(
    landing: LandingObject, opened: OpenObject, header: Header | None, files: DataFiles | None, quarantine: Quarantine
) -> IngestedObject:
    rows_ok = files.rows if files is not None else 0
    return IngestedObject(
        digest=landing.digest,
        dataset=_dataset_name(landing, header),
        bucket=landing.bucket,
        key=landing.key,
        status="parsed" if rows_ok else "committed",
        rows_in=rows_ok + quarantine.rows,
        rows_ok=rows_ok,
        rows_bad=quarantine.rows,
        files=files.files if files is not None else 0,
        ignored=header.ignored[:20] if header is not None else (),
        landed_at=opened.landed_at.isoformat(),
    )


@dataclass(frozen=True, slots=True)
class ObjectRows:
    """The rows of an object. pieces: read them once, in order. header: as far as it is known (CSV and Parquet)."""

    pieces: Iterator[ParsedRows]
    header: Callable[[], Header | None]


def read_object(
    s3: S3Client,
    landing: LandingObject,
    opened: OpenObject,
    data: Dataset,
    limits: Limits = DEFAULT_LIMITS,
) -> ObjectRows:
    """Read an object in the format that its content shows. data: the data set in its key."""
    source, head = _unpack(opened)
    if landing.is_stream_error:
        from usher_lake.firehose import ERROR_LIMITS, read_errors  # noqa: PLC0415 - most objects need only one parser

        return ObjectRows(read_errors(frames(Plain(source, head), ERROR_LIMITS)), lambda: None)
    refusal = _refusal(head, source)
    if refusal is not None:
        return _all_bad(refusal, head)
    if head.startswith(parquet_rows.MAGIC):
        parquet = parquet_rows.ParquetReader(data, landing.digest)
        return ObjectRows(parquet.read(RangedObject(s3, landing, opened.size)), lambda: parquet.header)
    chunks = frames(Plain(source, head), limits)
    if _is_json(head, landing.key):
        from usher_lake.json_rows import JsonReader  # noqa: PLC0415

        return ObjectRows(JsonReader(data).read(chunks), lambda: None)
    from usher_lake.csv_rows import CsvReader  # noqa: PLC0415

    csv = CsvReader(data, landing.digest)
    return ObjectRows(csv.read(chunks), lambda: csv.header)


def _unpack(opened: OpenObject) -> tuple[Source, bytes]:
    """The object's bytes, decompressed when they are gzip, and the first of them."""
    raw = Plain(opened.body)
    head = raw.read(HEAD_BYTES)
    if not head.startswith(GZIP_MAGIC):
        return raw, head
    source = Gzip(Plain(opened.body, head), gzip_limit(opened.size))
    return source, source.read(HEAD_BYTES)


def _refusal(head: bytes, source: Source) -> str | None:
    """Why the object cannot be read; None when its format may be supported."""
    if not head:
        return source.damage or "is empty"
    if head.startswith(_UTF16):
        return "is UTF-16: save it as UTF-8"
    if head.startswith(parquet_rows.MAGIC) and isinstance(source, Gzip):
        return "is Parquet inside gzip: upload the Parquet file itself"
    return None


def _all_bad(reason: str, head: bytes) -> ObjectRows:
    bad = BadRow(reason, "", 1, 0, len(head), head)
    return ObjectRows(iter([ParsedRows(None, None, (bad,), 1)]), lambda: None)


def _is_json(head: bytes, key: str) -> bool:
    if head.removeprefix(BOM).lstrip().startswith(b"{"):
        return True
    return key.lower().removesuffix(".gz").endswith(_JSON_NAMES)
