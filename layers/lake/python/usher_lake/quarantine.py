"""Writes what is bad to the quarantine, as it is found: one JSON line each, with the reason and exactly its bytes."""

from __future__ import annotations

import binascii
import functools
import json
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from usher.schema.s3_paths import quarantine_key
from usher_lake.rows import Bad
from usher_lake.upload import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Quarantine:
    """The quarantine file of one landing object; none is written when nothing is bad. rows: how many were taken."""

    def __init__(self, s3: S3Client, bucket: str, digest: str, landed_at: datetime) -> None:
        self.rows = 0
        self._s3 = s3
        self._bucket = bucket
        self._digest = digest
        self._day = landed_at.date().isoformat()
        self._file: Upload | None = None

    def add(self, dataset: str, bad: Iterable[Bad]) -> None:
        """Write these, in order. dataset: where the file goes; the first call decides."""
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


def record(row: Bad, digest: str) -> bytes:
    """One line of a quarantine file. `field` is null when the whole line is at fault."""
    raw = binascii.b2a_base64(row.raw, newline=False).decode("ascii")
    return (
        f'{{"reason":{_text(row.reason)},"field":{_text(row.field)},"line":{row.line},"source":"{digest}:{row.line}",'
        f'"offset":{row.offset},"bytes":{row.length},"raw_base64":"{raw}"}}\n'
    ).encode("ascii")


@functools.lru_cache(maxsize=1024)
def _text(text: str) -> str:
    return json.dumps(text) if text else "null"
