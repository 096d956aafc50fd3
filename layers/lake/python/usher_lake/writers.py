"""Writes the output of ingest to S3: good rows as the Parquet files of a table, bad rows as quarantine.

The same landing object always gives the same files, byte for byte, under the same keys.
"""

from __future__ import annotations

import binascii
import functools
import json
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from usher.schema.datasets import PROVENANCE, dataset
from usher.schema.s3_paths import data_key, quarantine_key
from usher_lake.arrow_types import TIME, file_schema
from usher_lake.reasons import BadRow

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: S3 allows 10,000 parts of at least 5 MiB: parts of 16 MiB allow 160 GB.
PART_BYTES = 16 << 20
#: Rows in a file (the last has fewer), and at most in a row group.
FILE_ROWS = 4_000_000
GROUP_ROWS = 262_144
#: A row group is closed earlier when its rows are long.
GROUP_BYTES = 64 << 20


class Upload:
    """A binary file in S3, written as it is produced: PutObject when it is small, else a multipart upload.

    Memory is bounded by one part. Nothing is visible in S3 before close(), and abort() leaves nothing.
    """

    def __init__(self, s3: S3Client, bucket: str, key: str, content_type: str, part_bytes: int = PART_BYTES) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._key = key
        self._content_type = content_type
        self._part_bytes = part_bytes
        self._buffer = bytearray()
        self._upload_id = ""
        self._parts: list[CompletedPartTypeDef] = []
        self._written = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Append bytes (or anything with a buffer)."""
        size = memoryview(data).nbytes
        self._buffer += data
        self._written += size
        while len(self._buffer) >= self._part_bytes:
            self._send(bytes(self._buffer[: self._part_bytes]))
            del self._buffer[: self._part_bytes]
        return size

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Does nothing: parts are sent when they are full."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Complete the object; a second call does nothing."""
        if self.closed:
            return
        self.closed = True
        if not self._upload_id:
            self._s3.put_object(
                Bucket=self._bucket, Key=self._key, Body=bytes(self._buffer), ContentType=self._content_type
            )
            return
        if self._buffer:
            self._send(bytes(self._buffer))
        self._s3.complete_multipart_upload(
            Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
        )

    def abort(self) -> None:
        """Discard the object with the parts already sent."""
        self.closed = True
        self._buffer.clear()
        if self._upload_id:
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)

    def _send(self, data: bytes) -> None:
        if not self._upload_id:
            answer = self._s3.create_multipart_upload(
                Bucket=self._bucket, Key=self._key, ContentType=self._content_type
            )
            self._upload_id = answer["UploadId"]
        number = len(self._parts) + 1
        sent = self._s3.upload_part(
            Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=data
        )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})


class DataFiles:
    """The data files of one landing object. rows, files: written so far."""

    def __init__(self, s3: S3Client, bucket: str, dataset_name: str, digest: str, landed_at: datetime) -> None:
        self.dataset = dataset_name
        self.rows = 0
        self.files = 0
        self._s3 = s3
        self._bucket = bucket
        self._digest = digest
        self._landed_at = pa.scalar(landed_at, TIME)
        self._landed_on = pa.scalar(landed_at.date(), pa.date32())
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0
        self._file: Upload | None = None
        self._writer: Any = None
        self._file_rows = 0

    def add(self, rows: pa.RecordBatch, lines: pa.Array) -> None:
        """Append rows with the line number of each. Where files and row groups end depends on the rows alone."""
        batch = self._with_provenance(rows, lines)
        while batch.num_rows:
            room = min(GROUP_ROWS - self._pending_rows, FILE_ROWS - self._file_rows - self._pending_rows)
            piece = batch.slice(0, room)
            batch = batch.slice(room)
            self._pending.append(piece)
            self._pending_rows += piece.num_rows
            self._pending_bytes += piece.nbytes
            full = piece.num_rows == room
            if full or self._pending_bytes >= GROUP_BYTES:
                self._write_group()
            if self._file_rows == FILE_ROWS:
                self._end_file()

    def close(self) -> None:
        """Write what is pending and finish the last file."""
        if self._pending_rows:
            self._write_group()
        if self._writer is not None:
            self._end_file()

    def abort(self) -> None:
        """Discard the file that is being written; finished ones stay, but no table contains them."""
        if self._file is not None:
            self._file.abort()

    def _with_provenance(self, rows: pa.RecordBatch, lines: pa.Array) -> pa.RecordBatch:
        source = pc.binary_join_element_wise(f"{self._digest}:", lines.cast(pa.string()), "")
        made = {
            "source": source,
            "ingested_at": pa.repeat(self._landed_at, rows.num_rows),
            "ingested_date": pa.repeat(self._landed_on, rows.num_rows),
        }
        columns = [*rows.columns, *(made[field.name] for field in PROVENANCE)]
        return pa.RecordBatch.from_arrays(columns, schema=file_schema(self.dataset))

    def _write_group(self) -> None:
        if self._writer is None:
            self._start_file()
        table = pa.Table.from_batches(self._pending)
        self._writer.write_table(table, row_group_size=self._pending_rows)
        self._file_rows += self._pending_rows
        self.rows += self._pending_rows
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _start_file(self) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - ingest_stream writes no Parquet

        key = data_key(self.dataset, self._digest, self.files)
        self._file = Upload(self._s3, self._bucket, key, "application/vnd.apache.parquet")
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            file_schema(self.dataset),
            compression="zstd",
            compression_level=1,
            use_dictionary=_repeated_columns(self.dataset),
            write_statistics=True,
            store_schema=False,
            version="2.6",
        )

    def _end_file(self) -> None:
        self._writer.close()
        assert self._file is not None  # noqa: S101 - opened with the writer
        self._file.close()
        self._file = self._writer = None
        self._file_rows = 0
        self.files += 1


def _repeated_columns(name: str) -> list[str]:
    """The columns for dictionary encoding: times and sources seldom repeat, and a dictionary costs a third more.

    Delta encodings would halve the files, but Iceberg's vectorised reader in Spark refuses them.
    """
    data = dataset(name)
    unique = {field.name for field in data.fields if field.kind == "timestamp"} | {"source"}
    return [field.name for field in data.columns if field.name not in unique]


class Quarantine:
    """The quarantine file of one landing object: one JSON line for each bad row. rows: written so far.

    Without bad rows no file is written.
    """

    def __init__(self, s3: S3Client, bucket: str, digest: str, landed_at: datetime) -> None:
        self.rows = 0
        self._s3 = s3
        self._bucket = bucket
        self._digest = digest
        self._day = landed_at.date().isoformat()
        self._file: Upload | None = None

    def add(self, dataset: str, bad: Iterable[BadRow]) -> None:
        """Write bad rows in order. dataset: part of the file's key; that of the first call counts."""
        for row in bad:
            if self._file is None:
                key = quarantine_key(dataset, self._day, self._digest)
                self._file = Upload(self._s3, self._bucket, key, "application/x-ndjson")
            self._file.write(record(row, self._digest))
            self.rows += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def abort(self) -> None:
        if self._file is not None:
            self._file.abort()


def record(row: BadRow, digest: str) -> bytes:
    """One line of a quarantine file. `field` is null when the whole line is bad."""
    raw = binascii.b2a_base64(row.raw, newline=False).decode("ascii")
    return (
        f'{{"reason":{_text(row.reason)},"field":{_text(row.field)},"line":{row.line},"source":"{digest}:{row.line}",'
        f'"offset":{row.offset},"bytes":{row.length},"raw_base64":"{raw}"}}\n'
    ).encode("ascii")


@functools.lru_cache(maxsize=1024)
def _text(text: str) -> str:
    return json.dumps(text) if text else "null"
