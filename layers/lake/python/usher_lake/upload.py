"""A file that is written to S3 while it is made: one PutObject when small, else parts, in memory bounded by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: S3 takes parts of 5 MiB or more, at most 10,000 of them: 16 MiB reach 160 GB.
PART_BYTES = 16 << 20


class Upload:
    """A binary file for writing. Nothing is visible in S3 before close(); abort() leaves nothing."""

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
        """Take bytes (or anything with a buffer)."""
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
        """Nothing: parts go when they are full."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Finish the object; a second close does nothing."""
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
        """Give up: parts that were sent are removed."""
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
