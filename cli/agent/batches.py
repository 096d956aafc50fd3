"""Packs rows into PutRecordBatch calls within its limits, with the file positions that each call reaches."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from cli.agent.checkpoint import Position

#: PutRecordBatch's limits (Firehose API reference): records per call, bytes per call, bytes per record before base64.
BATCH_RECORDS = 500
BATCH_BYTES = 4 << 20
RECORD_BYTES = 1000 << 10
#: Firehose bills each record as a multiple of 5 KB: rows in records of their own cost up to seventy times as much.
BILLED_BYTES = 5000
#: Rows per call when rows are joined; it limits what a killed agent sends twice.
BATCH_ROWS = 5000


@dataclass(slots=True)
class Batch:
    """The content of one call.

    records:   the payloads, in order.
    rows:      the number of rows in all payloads.
    size:      bytes of the payloads.
    positions: the positions of the files once the batch is acknowledged, by device and inode.
    """

    records: list[bytes] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    positions: dict[tuple[int, int], Position] = field(default_factory=dict)


class Packer:
    """Collects rows into batches.

    record_bytes: rows are joined in one record up to this size; 0: each row is a record of its own.
    """

    def __init__(self, record_bytes: int = BILLED_BYTES) -> None:
        self._record_bytes = record_bytes
        self._batch = Batch()
        self._joined: list[bytes] = []
        self._joined_bytes = 0

    def fits(self, row: bytes) -> bool:
        """Whether a row is small enough to be sent."""
        return len(row) <= RECORD_BYTES

    def is_full_for(self, row: bytes) -> bool:
        """Whether the row does not fit into the current batch."""
        batch = self._batch
        if batch.rows >= BATCH_ROWS or batch.size + self._joined_bytes + len(row) > BATCH_BYTES:
            return True
        return not self._joins(row) and len(batch.records) + bool(self._joined) >= BATCH_RECORDS

    def add(self, row: bytes) -> None:
        """Add a row to the batch."""
        if not self._joins(row):
            self._close_record()
        self._joined.append(row)
        self._joined_bytes += len(row)
        self._batch.rows += 1

    def take(self, positions: dict[tuple[int, int], Position]) -> Batch:
        """Return the current batch and begin an empty one. positions: of the files whose rows the batch holds."""
        self._close_record()
        batch, self._batch = self._batch, Batch()
        batch.positions = positions
        return batch

    def _joins(self, row: bytes) -> bool:
        return bool(self._joined) and self._joined_bytes + len(row) <= self._record_bytes

    def _close_record(self) -> None:
        if self._joined:
            self._batch.records.append(b"".join(self._joined))
            self._batch.size += self._joined_bytes
            self._joined, self._joined_bytes = [], 0


@dataclass(slots=True)
class Aside:
    """A file of JSON lines {file, offset, bytes, reason, raw_base64}; `count`: those of this process.

    An agent that is killed after writing here and before its next checkpoint writes the same record again.
    """

    path: Path
    count: int = 0

    def keep(self, file: str, offset: int, size_bytes: int, reason: str, raw: bytes) -> None:
        """Write one record durably (fsync), so that the checkpoint may pass it.

        raw: the line, or its first bytes when it is longer than LINE_MAX_BYTES.
        """
        record = {"file": file, "offset": offset, "bytes": size_bytes, "reason": reason}
        with self.path.open("a") as stream:
            stream.write(json.dumps(record | {"raw_base64": base64.b64encode(raw).decode()}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.count += 1
