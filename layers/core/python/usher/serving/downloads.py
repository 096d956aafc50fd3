"""A bundle's files from S3 to the function's own disk, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from usher.errors import NotDeployable
from usher.schema import s3_paths

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Two bundles fit into a function's 2 GB of /tmp, with room for the one that takes the place of an older.
BUNDLE_MAX_BYTES = 600 * 1024 * 1024


def download_bundle(s3: S3Client, bucket: str, run_id: str, folder: Path) -> Path:
    """The folder of a run's bundle under `folder`, downloaded unless it is there already.

    NotDeployable when there is none, when it is too large, or when a key would leave the folder.
    """
    target = folder / PurePosixPath(run_id).name
    if target.is_dir():
        return target
    prefix = f"{s3_paths.run_prefix(run_id)}bundle/"
    keys = _keys(s3, bucket, prefix)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="part-", dir=folder))
    try:
        for name in keys:
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, prefix + name, str(path))
        scratch.rename(target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return target


def keep_only(folder: Path, models: set[str]) -> None:
    """Remove the bundles that no variant holds any more; files that are still mapped go when they are let go."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in models:
            shutil.rmtree(path, ignore_errors=True)


def _keys(s3: S3Client, bucket: str, prefix: str) -> list[str]:
    names, size = [], 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            names.append(item["Key"].removeprefix(prefix))
            size += item["Size"]
    if not names or size > BUNDLE_MAX_BYTES:
        raise NotDeployable(
            f"s3://{bucket}/{prefix} holds {len(names)} files, {size} bytes: "
            f"a bundle has some, and at most {BUNDLE_MAX_BYTES} bytes"
        )
    for name in names:
        if not name or name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise NotDeployable(f"s3://{bucket}/{prefix} holds a key that no bundle has: {name[:80]!r}")
    return names
