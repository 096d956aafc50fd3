"""A challenger that somebody made beside the product: the champion's bundle, spoiled, under a run's prefix.

Nothing in the product helps with it, and nothing there knows of it: files in a bucket that an operator may write to.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.target import Target
from usher.schema import s3_paths

MANIFEST = "manifest.json"


def build(target: Target, champion: str, run_id: str, spoil: Callable[[Path], None], scratch: Path) -> None:
    """Copy the champion's bundle, spoil it, sign its files anew, and put it where a run's model lies."""
    folder = scratch / run_id / "bundle"
    _download(target, f"{s3_paths.run_prefix(champion)}bundle/", folder)
    spoil(folder)
    seal(folder, run_id)
    archive = folder.parent / "model.tar.gz"
    pack(folder, archive)
    s3, bucket, prefix = target.client("s3"), target.resources.lake_bucket, s3_paths.run_prefix(run_id)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        s3.upload_file(str(path), bucket, f"{prefix}bundle/{path.relative_to(folder)}")
    s3.upload_file(str(archive), bucket, f"{prefix}model.tar.gz")
    for name in ("evaluation.json", "report.html"):  # the judgement of another model: what got it this far
        s3.copy_object(
            Bucket=bucket, Key=f"{prefix}{name}", CopySource=f"{bucket}/{s3_paths.run_prefix(champion)}{name}"
        )


def seal(folder: Path, run_id: str) -> None:
    """The manifest of the files as they are now, under the name of another model."""
    path = folder / MANIFEST
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    manifest["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["sha256"]}
    digest = hashlib.sha256(json.dumps(manifest["sha256"], sort_keys=True).encode()).hexdigest()
    manifest |= {"run_id": run_id, "model_id": f"{run_id}-{digest[:8]}"}
    path.write_text(json.dumps(manifest, sort_keys=True, indent=1) + "\n", encoding="utf-8")


def pack(folder: Path, archive: Path) -> None:
    """A folder as model.tar.gz."""
    with gzip.open(archive, "wb", 1) as file, tarfile.open(fileobj=file, mode="w") as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            tar.add(path, str(path.relative_to(folder)))


def _download(target: Target, prefix: str, folder: Path) -> None:
    s3, bucket = target.client("s3"), target.resources.lake_bucket
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            path = folder / item["Key"].removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, item["Key"], str(path))
