"""Landing objects: the event that announces one, and reading exactly the version that it announced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import NotAnEvent, ObjectGone, UnknownPlace, is_gone
from usher.schema.ids import object_digest
from usher.schema.s3_paths import STREAM_ERRORS, LandingKey, parse_landing_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class LandingObject:
    """One version of one object in the landing bucket.

    version_id: empty where the bucket keeps no versions; the ETag identifies the object then.
    size:       bytes, as the event said; 0 when it did not.
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
        """The data set that the key names; UnknownPlace when it names none."""
        return self._place.dataset

    @property
    def is_stream_error(self) -> bool:
        """Whether Firehose wrote here what it could not have transformed; UnknownPlace as `dataset`."""
        return self._place.origin == STREAM_ERRORS

    @property
    def _place(self) -> LandingKey:
        try:
            return parse_landing_key(self.key)
        except ValueError as error:
            raise UnknownPlace(str(error)) from error

    @property
    def is_folder(self) -> bool:
        """The empty object that consoles write to show a folder."""
        return self.key.endswith("/") and self.size == 0

    def selector(self) -> dict[str, str]:
        """What makes S3 answer with exactly this version, or not at all."""
        which = {"VersionId": self.version_id} if self.version_id else {"IfMatch": f'"{self.etag}"'}
        return {"Bucket": self.bucket, "Key": self.key, **which}


@dataclass(frozen=True, slots=True)
class OpenObject:
    """A landing object whose bytes are on their way.

    body:      read(size) gives up to size bytes, b"" at the end.
    landed_at: S3's LastModified, UTC: the same at every reading, unlike the clock.
    """

    body: Any
    size: int
    landed_at: datetime


def parse_event(body: str) -> LandingObject:
    """The object that an EventBridge "Object Created" event announces; NotAnEvent for anything else."""
    try:
        event = json.loads(body)
        detail = event["detail"]
        announced = detail["object"]
        if event.get("source") != "aws.s3" or event.get("detail-type") != "Object Created":
            raise NotAnEvent(f"expected aws.s3 Object Created, found {event.get('source')} {event.get('detail-type')}")
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
        raise NotAnEvent(f"the event of {found.key!r} names neither a version nor an ETag")
    return found


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is {value!r}")
    return value


def open_object(s3: S3Client, landing: LandingObject) -> OpenObject:
    """Start to read exactly the announced version; ObjectGone when it is not there any more."""
    try:
        answer = s3.get_object(**landing.selector())  # type: ignore[arg-type]
    except ClientError as error:
        if is_gone(error):
            raise ObjectGone(f"s3://{landing.bucket}/{landing.key} went before it was read") from error
        raise
    return OpenObject(answer["Body"], answer["ContentLength"], answer["LastModified"])
