"""An object in S3 as a file that can be sought in, which Parquet needs: ranges are fetched as they are read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from usher_lake.landing import LandingObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Small reads next to each other share one request.
BLOCK_BYTES = 4 << 20


class RangedObject(io.RawIOBase):
    """Reads one version of one object. A range that S3 refuses raises its ClientError."""

    def __init__(self, s3: S3Client, landing: LandingObject, size: int) -> None:
        self._s3 = s3
        self._selector = landing.selector()
        self._size = size
        self._position = 0
        self._block_start = 0
        self._block = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        wanted = self._size - self._position if size < 0 else min(size, self._size - self._position)
        if wanted <= 0:
            return b""
        start = self._position - self._block_start
        if not 0 <= start <= len(self._block) - wanted:
            self._fetch(self._position, max(wanted, min(BLOCK_BYTES, self._size - self._position)))
            start = 0
        self._position += wanted
        return self._block[start : start + wanted]

    def _fetch(self, start: int, size: int) -> None:
        span = f"bytes={start}-{start + size - 1}"
        self._block = self._s3.get_object(**self._selector, Range=span)["Body"].read()  # type: ignore[arg-type]
        self._block_start = start
