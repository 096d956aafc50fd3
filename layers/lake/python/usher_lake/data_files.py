"""Writes good rows as the Parquet files of an Iceberg table: the same object gives the same files, byte for byte."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from usher.schema.datasets import PROVENANCE, dataset
from usher.schema.s3_paths import data_key
from usher_lake.schemas import TIME, file_schema
from usher_lake.upload import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Exactly this many rows a file (the last has fewer), and at most so many a row group.
FILE_ROWS = 4_000_000
GROUP_ROWS = 262_144
#: A row group is closed earlier when its rows are long.
GROUP_BYTES = 64 << 20


class DataFiles:
    """The data files of one landing object. rows, files: what was written so far."""

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
        """Take rows with the line of each. Where files and row groups end depends on the rows alone."""
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
        """Give up the file that is being written; finished ones stay, no ledger entry names them."""
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
        schema = file_schema(self.dataset)
        key = data_key(self.dataset, self._digest, self.files)
        self._file = Upload(self._s3, self._bucket, key, "application/vnd.apache.parquet")
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            schema,
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
    """The columns in which values come again, for a dictionary. Times and sources hardly do: one costs a third more.

    Delta encodings would halve the files, but Iceberg's vectorised reader in Spark refuses them.
    """
    data = dataset(name)
    unique = {field.name for field in data.fields if field.kind == "timestamp"} | {"source"}
    return [field.name for field in data.columns if field.name not in unique]
