"""Ids and digests of objects, runs, jobs, experiments and users."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping

from usher.schema.datasets import ID_MAX_BYTES

#: SageMaker's shortest limit: a tuning job's name has at most 32 characters.
JOB_NAME_MAX = 32


def object_digest(bucket: str, key: str, version: str) -> str:
    """The id of a landing object, 32 hex characters; the same for repeated events of the object.

    version: the object's version id, or its ETag (quotes removed) where the bucket has no versioning.
    """
    return _hex32(bucket, key, version.strip('"'))


def stream_digest(stream: str, record_ids: Iterable[str]) -> str:
    """The id of a batch that Firehose sends for transformation: `stream` and 26 hex characters.

    It depends on the record ids, which a retry repeats, not on the invocation id, which changes.
    """
    return f"stream{_hex32(stream, *record_ids)[:26]}"


def is_stream_digest(digest: str) -> bool:
    """Whether a quarantine file came from a stream's batch, not from a landing object."""
    return digest.startswith("stream")


def hash_user_id(user_id: str) -> str:
    """The hash of a user id, used in the state table and in recommendation ids: 32 hex characters."""
    return _hex32(user_id)


def run_id(snapshots: Mapping[str, int], attempt: int) -> str:
    """`r` + ten characters of the snapshots' digest + `-` + attempt: the same data gives the same run."""
    digest = hashlib.sha256(json.dumps(sorted(snapshots.items()), separators=(",", ":")).encode()).digest()
    return f"r{base64.b32encode(digest).decode().lower()[:10]}-{attempt}"


def job_name(run: str, algorithm: str, *, tuning: bool = False, retry: int = 0) -> str:
    """`run-algorithm[-hpo][-retry]`; ValueError above 32 characters, the limit of a tuning job's name."""
    name = f"{run}-{algorithm}{'-hpo' if tuning else ''}{f'-{retry}' if retry else ''}"
    if len(name) > JOB_NAME_MAX:
        raise ValueError(f"job name {name!r} has {len(name)} characters: SageMaker takes {JOB_NAME_MAX}")
    return name


def experiment_id(run: str) -> str:
    """The experiment's id, from the run that trained its challenger."""
    return f"x{run}"


def check_id(value: str) -> str | None:
    """Why `value` cannot be an id, or None: 1 to 128 bytes UTF-8 without control characters."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not 1 <= size <= ID_MAX_BYTES:
        return f"has {size} bytes (1 to {ID_MAX_BYTES} allowed)"
    if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in value):
        return "has a control character"
    return None


def digest_list(digests: Iterable[str]) -> str:
    """Digests as one snapshot property, sorted, so that a batch always gives the same value."""
    return ",".join(sorted(digests))


def _hex32(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()[:32]
