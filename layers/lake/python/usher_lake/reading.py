"""Reads one landing object whatever it is: its form is seen from the content, and from the name where that is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usher.schema.datasets import Dataset
from usher_lake import error_rows, parquet_rows
from usher_lake.csv_lines import BOM
from usher_lake.framer import DEFAULT_LIMITS, HEAD_BYTES, Limits, Source, frames
from usher_lake.landing import LandingObject, OpenObject
from usher_lake.ranged import RangedObject
from usher_lake.rows import Bad, Parsed
from usher_lake.sources import GZIP_MAGIC, Gzip, Plain, gzip_limit

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from usher_lake.header import Header

_JSON_NAMES = (".jsonl", ".ndjson", ".json")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Reading:
    """An object under way. pieces: read them once, in order. header: what is known of it so far (CSV and Parquet)."""

    pieces: Iterator[Parsed]
    header: Callable[[], Header | None]


def read_object(
    s3: S3Client,
    landing: LandingObject,
    opened: OpenObject,
    data: Dataset,
    limits: Limits = DEFAULT_LIMITS,
) -> Reading:
    """Start to read. data: the data set that the key names."""
    source, head = _unpack(opened)
    if landing.is_stream_error:
        return Reading(error_rows.read_errors(frames(Plain(source, head), error_rows.LIMITS)), lambda: None)
    refusal = _refusal(head, source)
    if refusal is not None:
        return _nothing(refusal, head)
    if head.startswith(parquet_rows.MAGIC):
        parquet = parquet_rows.ParquetReader(data, landing.digest)
        return Reading(parquet.read(RangedObject(s3, landing, opened.size)), lambda: parquet.header)
    chunks = frames(Plain(source, head), limits)
    if _is_json(head, landing.key):
        from usher_lake.json_rows import JsonReader  # noqa: PLC0415 - most objects need only one of the parsers

        return Reading(JsonReader(data).read(chunks), lambda: None)
    from usher_lake.csv_rows import CsvReader  # noqa: PLC0415

    csv = CsvReader(data, landing.digest)
    return Reading(csv.read(chunks), lambda: csv.header)


def _unpack(opened: OpenObject) -> tuple[Source, bytes]:
    """The bytes, decompressed where they are gzip, and the first of them."""
    raw = Plain(opened.body)
    head = raw.read(HEAD_BYTES)
    if not head.startswith(GZIP_MAGIC):
        return raw, head
    source = Gzip(Plain(opened.body, head), gzip_limit(opened.size))
    return source, source.read(HEAD_BYTES)


def _refusal(head: bytes, source: Source) -> str | None:
    """Why nothing of the object can be read; None when its form may be one of ours."""
    if not head:
        return source.damage or "is empty"
    if head.startswith(_UTF16):
        return "is UTF-16: save it as UTF-8"
    if head.startswith(parquet_rows.MAGIC) and isinstance(source, Gzip):
        return "is Parquet inside gzip: send it as it is"
    return None


def _nothing(reason: str, head: bytes) -> Reading:
    bad = Bad(reason, "", 1, 0, len(head), head)
    return Reading(iter([Parsed(None, None, (bad,), 1)]), lambda: None)


def _is_json(head: bytes, key: str) -> bool:
    if head.removeprefix(BOM).lstrip().startswith(b"{"):
        return True
    return key.lower().removesuffix(".gz").endswith(_JSON_NAMES)
