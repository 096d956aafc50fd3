"""Objects in and out of a container's folder, as SageMaker moves them between S3 and /opt/ml.

s3: a client that calls as the execution role.
"""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from twin.sagemaker.errors import JobFailed

#: The most that an unpacked model may take; SageMaker's own bound is the instance's volume.
MODEL_BYTES_MAX = 10 * 2**30

Faults = (ClientError, BotoCoreError, OSError)


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def exists(s3: Any, uri: str) -> bool:
    """Whether there is an object under exactly this URI."""
    bucket, key = split(uri)
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError:
        return False
    return True


def download(s3: Any, uri: str, folder: Path) -> int:
    """Copy every object under the prefix `uri` into `folder`; how many there were. JobFailed on any fault."""
    bucket, prefix = split(uri)
    count = 0
    try:
        for key in _keys(s3, bucket, prefix):
            target = _inside(folder, _relative(key, prefix))
            target.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, key, str(target))
            count += 1
    except Faults as error:
        raise JobFailed(f"ClientError: Data download failed: {uri}: {error}") from error
    return count


def fetch(s3: Any, uri: str, file: Path) -> None:
    """Copy one object; JobFailed on any fault."""
    bucket, key = split(uri)
    try:
        s3.download_file(bucket, key, str(file))
    except Faults as error:
        raise JobFailed(f"ClientError: Data download failed: {uri}: {error}") from error


def upload(s3: Any, file: Path, uri: str) -> None:
    """Copy one file; JobFailed on any fault."""
    bucket, key = split(uri)
    try:
        s3.upload_file(str(file), bucket, key)
    except Exception as error:  # boto3's own S3UploadFailedError derives from none of its base errors
        raise JobFailed(f"ClientError: Artifact upload failed: {uri}: {error}") from error


def upload_folder(s3: Any, folder: Path, uri: str) -> None:
    """Copy every file below `folder` under the prefix `uri`."""
    for file in sorted(item for item in folder.rglob("*") if item.is_file()):
        upload(s3, file, f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}")


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder's content as tar.gz, as SageMaker does with /opt/ml/model; equal content gives equal bytes."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for item in sorted(folder.rglob("*")):
            tar.add(item, arcname=item.relative_to(folder).as_posix(), recursive=False, filter=_without_owner)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a model; JobFailed when it is not a tar.gz, is too large, or would leave the folder."""
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            size = 0
            for member in tar:
                size += member.size
                if size > MODEL_BYTES_MAX:
                    raise JobFailed(f"ClientError: the model takes more than {MODEL_BYTES_MAX} bytes unpacked")
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise JobFailed(f"ClientError: the model data is not a gzip-compressed tar archive: {error}") from error


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", []) if not item["Key"].endswith("/"))


def _relative(key: str, prefix: str) -> str:
    """`a/b` under the prefix `a` is `b`; `train-1.csv` under the prefix `tr` keeps its name, as a lone object does."""
    rest = key.removeprefix(prefix)
    if rest.startswith("/") or (rest and prefix.endswith("/")):
        return rest.lstrip("/")
    parent = str(PurePosixPath(prefix).parent) if "/" in prefix else ""
    return key.removeprefix(f"{parent}/") if parent else key


def _inside(folder: Path, relative: str) -> Path:
    target = folder / relative
    if ".." in PurePosixPath(relative).parts or not target.is_relative_to(folder):
        raise JobFailed(f"ClientError: Data download failed: the key {relative!r} leaves its folder")
    return target
