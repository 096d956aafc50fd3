"""A bundle's manifest: what it is, from what, and the digest of every file, so that what is judged is what is
served.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usher_scorer.errors import BundleError

MANIFEST = "manifest.json"
#: Raised when a reader of today could not read what a writer of tomorrow makes. 2: profiles hold events, too.
SCHEMA = 2
MANIFEST_MAX_BYTES = 4_000_000
_FILE = re.compile(r"[a-z0-9_]{1,40}(/[a-z0-9_.]{1,40})?\.(npy|txt|jsonl)|profiles\.[a-z_]{1,20}\.npy")
_FIELDS = ("schema", "model_id", "run_id", "snapshots", "trained_until", "parts", "blend", "hyperparameters", "metrics")


@dataclass(frozen=True)
class Manifest:
    """The fields of manifest.json, as contracts.md names them.

    trained_until: ISO 8601, the end of what parameters were fitted on; parts: name → its settings; sha256: file → hex
    digest.
    """

    model_id: str
    run_id: str
    snapshots: Mapping[str, Any]
    trained_until: str
    parts: Mapping[str, Mapping[str, Any]]
    blend: Mapping[str, Any]
    hyperparameters: Mapping[str, Mapping[str, str]]
    metrics: Mapping[str, Any]
    sha256: Mapping[str, str]

    def text(self) -> str:
        """manifest.json: the same manifest is the same bytes."""
        fields = {"schema": SCHEMA, **{name: getattr(self, name) for name in _FIELDS[1:]}, "sha256": self.sha256}
        return json.dumps(fields, sort_keys=True, indent=1, allow_nan=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read and check manifest.json; BundleError for none, a foreign one or one of a newer schema."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is no Usher bundle: it has no {MANIFEST}")
    if path.stat().st_size > MANIFEST_MAX_BYTES:
        raise BundleError(f"{path} has over {MANIFEST_MAX_BYTES} bytes: this is no Usher bundle")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}): the bundle is damaged, make it again") from None
    schema = fields.get("schema") if isinstance(fields, dict) else None
    if not isinstance(schema, int):
        raise BundleError(f"{path} has no schema number: this is no Usher bundle")
    if schema > SCHEMA:
        raise BundleError(
            f"{path} has schema {schema}, this Usher reads {SCHEMA}: update Usher or deploy an older bundle"
        )
    missing = [name for name in (*_FIELDS, "sha256") if name not in fields]
    if missing or not isinstance(fields["sha256"], dict) or not isinstance(fields["parts"], dict):
        raise BundleError(f"{path} lacks {', '.join(missing) or 'its parts'}: this is no Usher bundle")
    return Manifest(**{name: fields[name] for name in _FIELDS[1:]}, sha256=_checked_names(path, fields["sha256"]))


def _checked_names(path: Path, digests: Mapping[str, Any]) -> Mapping[str, str]:
    for name in digests:
        if not _FILE.fullmatch(name) or ".." in name:
            raise BundleError(f"{path} names the file {name[:80]!r}, which no bundle of Usher has")
    return digests


def check_digests(folder: Path, manifest: Manifest) -> None:
    """Hash every file named; BundleError naming the first that is missing or differs."""
    for name, expected in manifest.sha256.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{path} is missing: the bundle is damaged, fetch it again")
        if sha256(path) != expected:
            raise BundleError(f"{path} differs from its digest in {MANIFEST}: the bundle is damaged, fetch it again")


def sha256(path: Path) -> str:
    """The file's digest, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
