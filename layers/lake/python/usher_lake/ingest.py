"""Takes one landing object in: good rows to Parquet, bad ones to quarantine, every one of them counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from usher.errors import OutOfTime
from usher.schema.datasets import dataset
from usher.store.ingested_objects import Entry
from usher_lake.data_files import DataFiles
from usher_lake.landing import LandingObject, OpenObject, open_object
from usher_lake.quarantine import Quarantine
from usher_lake.reading import read_object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from usher_lake.header import Header


#: Less time than this is not enough to begin an object, or to finish one that is read: writers have to be closed.
START_SECONDS = 30.0
FINISH_SECONDS = 15.0


def ingest_object(s3: S3Client, landing: LandingObject, lake_bucket: str, seconds_left: Callable[[], float]) -> Entry:
    """Read one object whole; the entry for the ledger. A second reading writes the same bytes to the same keys.

    seconds_left: the function's remaining time. OutOfTime when that would not do, UnknownPlace when the key names no
    data set, ObjectGone when the object is not there any more.
    """
    data = dataset(landing.dataset)
    if seconds_left() < START_SECONDS:
        raise OutOfTime(f"s3://{landing.bucket}/{landing.key} is left to the next invocation")
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
                raise OutOfTime(f"s3://{landing.bucket}/{landing.key} needs more time than is left: split it")
        if files is not None:
            files.close()
        quarantine.close()
    except BaseException:
        quarantine.abort()
        if files is not None:
            files.abort()
        raise
    entry = _entry(landing, opened, reading.header(), files, quarantine)
    if rows_in != entry.rows_in:  # counted by the reader, against what the writers took
        raise AssertionError(f"{landing.key}: {rows_in} rows in, but {entry.rows_ok} good and {entry.rows_bad} bad")
    return entry


def _dataset_name(landing: LandingObject, header: Header | None) -> str:
    return landing.dataset if header is None else header.dataset.name


def _entry(
    landing: LandingObject, opened: OpenObject, header: Header | None, files: DataFiles | None, quarantine: Quarantine
) -> Entry:
    rows_ok = files.rows if files is not None else 0
    return Entry(
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
