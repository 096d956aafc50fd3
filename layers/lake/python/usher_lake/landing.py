"""Landing objects: the event that announces one, and reads of exactly the announced version."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import NotAnEvent, ObjectGone, UnknownLandingKey, is_gone
from usher.schema.ids import object_digest
from usher.schema.s3_paths import STREAM_ERRORS, LandingKey, parse_landing_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


#: Small reads next to each other share one request.
BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class LandingObject:
    """One version of one object in the landing bucket.

    version_id: empty in a bucket without versioning; the ETag identifies the object then.
    size:       in bytes, from the event; 0 when the event has none.
    """

    bucket: str
    key: str
    version_id: str
    etag: str
    size: int

    @property
    def digest(self) -> str:
        return object_digest(self.bucket, self.key, self.version_id or self.etag)

    @property
    def dataset(self) -> str:
        """The data set in the key; UnknownLandingKey when the key is not one of a data set."""
        return self._landing_key.dataset

    @property
    def is_stream_error(self) -> bool:
        """Whether Firehose delivered records here that failed their transformation; UnknownLandingKey as `dataset`."""
        return self._landing_key.origin == STREAM_ERRORS

    @property
    def _landing_key(self) -> LandingKey:
        try:
            return parse_landing_key(self.key)
        except ValueError as error:
            raise UnknownLandingKey(str(error)) from error

    @property
    def is_folder(self) -> bool:
        """Whether this is the empty object that S3's console makes for a folder."""
        return self.key.endswith("/") and self.size == 0

    def selector(self) -> dict[str, str]:
        """Parameters of GetObject that select exactly this version."""
        which = {"VersionId": self.version_id} if self.version_id else {"IfMatch": f'"{self.etag}"'}
        return {"Bucket": self.bucket, "Key": self.key, **which}


@dataclass(frozen=True, slots=True)
class OpenObject:
    """A landing object that is being read.

    body:      read(size) returns up to size bytes, b"" at the end.
    landed_at: S3's LastModified, UTC: the same at every read, unlike the clock.
    """

    body: Any
    size: int
    landed_at: datetime


def parse_event(body: str) -> LandingObject:
    """The object in an EventBridge "Object Created" event; NotAnEvent for anything else."""
    try:
        event = json.loads(body)
        detail = event["detail"]
        announced = detail["object"]
        if event.get("source") != "aws.s3" or event.get("detail-type") != "Object Created":
            raise ValueError(f"source {event.get('source')!r}, detail-type {event.get('detail-type')!r}")
        found = LandingObject(
            bucket=_text(detail["bucket"], "name"),
            key=_text(announced, "key"),
            version_id=str(announced.get("version-id") or ""),
            etag=str(announced.get("etag") or "").strip('"'),
            size=int(announced.get("size") or 0),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise NotAnEvent(f"not an S3 Object Created event ({type(error).__name__}: {error}): {body[:200]!r}") from error
    if not (found.version_id or found.etag):
        raise NotAnEvent(f"the event of {found.key!r} has neither version-id nor etag: it must have one of them")
    return found


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is {value!r}, not a non-empty string")
    return value


def open_object(s3: S3Client, landing: LandingObject) -> OpenObject:
    """Open exactly the announced version; ObjectGone when it was deleted or replaced."""
    try:
        answer = s3.get_object(**landing.selector())  # type: ignore[arg-type]
    except ClientError as error:
        if is_gone(error):
            raise ObjectGone(
                f"s3://{landing.bucket}/{landing.key} was deleted or replaced before it was read"
            ) from error
        raise
    return OpenObject(answer["Body"], answer["ContentLength"], answer["LastModified"])


class RangedObject(io.RawIOBase):
    """One version of one object as a seekable file, which Parquet needs; ranges are fetched as they are read.

    S3's ClientError is raised as it is.
    """

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
