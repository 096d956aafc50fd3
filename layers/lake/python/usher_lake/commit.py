"""Commits the data files of landing objects to the tables: many objects in one Iceberg snapshot, each exactly once.

The snapshot's summary contains the digests of its objects, so that a commit and its record are one atomic write. Each
attempt first reads the summaries of all snapshots: an object found there is committed, whatever the state table says.
PyIceberg's own retry is off: it commits again without that check, and two racing commits would add a file twice.
"""

from __future__ import annotations

import functools
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.table import TableProperties

from usher.errors import CommitContended, NotAnEvent, ObjectNotRecorded, UnreadableFile
from usher.schema.ids import digest_list
from usher.schema.s3_paths import data_key
from usher.store.ingested_objects import IngestedObject, IngestedObjects
from usher.store.run_progress import Commit, count_commits

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

#: The property of a snapshot's summary with the digests of its landing objects.
DIGESTS = "usher.digests"
_ATTEMPTS = 30
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0
_FOOTERS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class BatchResult:
    """snapshots: the snapshot that contains each object, by digest. errors: of the failed messages, by message id."""

    snapshots: dict[str, int] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)


def catalog_batch(
    messages: Mapping[str, str], ingested: IngestedObjects, load: Callable[[str], Table], lake_bucket: str
) -> BatchResult:
    """Commit the objects in these messages (body by id), one commit for each data set, independent of the others.

    Only the digest is taken from a message: the data set of an object is read from the state table.
    """
    result = BatchResult()
    digests = _digests(messages, result.errors)
    entries = ingested.find_all(digests.values())
    groups: dict[str, list[str]] = defaultdict(list)
    for message, digest in digests.items():
        if digest in entries:
            groups[entries[digest].dataset].append(message)
        else:
            result.errors[message] = ObjectNotRecorded(
                f"object {digest} is not in the state table: upload the object again"
            )
    for dataset, group in groups.items():
        commit = functools.partial(_commit, functools.partial(load, dataset), ingested, lake_bucket)
        commit({message: entries[digests[message]] for message in group}, result)
    return result


def _commit(
    load: Callable[[], Table],
    ingested: IngestedObjects,
    lake_bucket: str,
    chosen: Mapping[str, IngestedObject],
    result: BatchResult,
) -> None:
    """Commit the objects of one data set (by message id). An unreadable data file is isolated by halving the batch."""
    try:
        entries = {entry.digest: entry for entry in chosen.values()}
        result.snapshots.update(catalog_objects(load(), ingested, lake_bucket, entries.values()))
    except Exception as error:  # noqa: BLE001 - the rest of the batch continues; the handler logs it
        messages = list(chosen)
        if len(messages) == 1 or not isinstance(error, UnreadableFile | FileNotFoundError):
            result.errors.update(dict.fromkeys(messages, error))
            return
        half = len(messages) // 2
        for part in (messages[:half], messages[half:]):
            _commit(load, ingested, lake_bucket, {message: chosen[message] for message in part}, result)


def _digests(messages: Mapping[str, str], errors: dict[str, Exception]) -> dict[str, str]:
    found = {}
    for message, body in messages.items():
        try:
            found[message] = str(json.loads(body)["digest"])
        except (ValueError, TypeError, KeyError, RecursionError):
            errors[message] = NotAnEvent(f"not a catalog message: {body[:200]!r}")
    return found


def catalog_objects(
    table: Table, ingested: IngestedObjects, lake_bucket: str, entries: Iterable[IngestedObject]
) -> dict[str, int]:
    """Commit these objects of one data set; the snapshot that contains each, by digest.

    Every step can be repeated: after a crash the redelivered message completes the work.
    """
    waiting = [entry for entry in entries if entry.status in ("parsed", "committing")]
    for entry in waiting:
        if entry.status == "parsed":
            ingested.committing(entry.digest)
    held = commit_objects(table, [_files_of(entry, lake_bucket) for entry in waiting])
    for digest, snapshot_id in held.items():
        ingested.committed(digest, snapshot_id)
    count_commits(ingested.table, table.name()[-1], commits(table))
    return held


def _files_of(entry: IngestedObject, lake_bucket: str) -> ObjectFiles:
    keys = (data_key(entry.dataset, entry.digest, part) for part in range(entry.files))
    return ObjectFiles(entry.digest, tuple(f"s3://{lake_bucket}/{key}" for key in keys))


@dataclass(frozen=True, slots=True)
class ObjectFiles:
    """The data files of one landing object."""

    digest: str
    paths: tuple[str, ...]


def commit_objects(
    table: Table, objects: Iterable[ObjectFiles], *, sleep: Callable[[float], None] = time.sleep
) -> dict[str, int]:
    """Commit the objects that are not committed yet; the snapshot id that contains each, by digest.

    Raises UnreadableFile when a file has no statistics or no partition (nothing is committed then), CommitContended
    when every attempt lost against another commit. After any other error the commit may have been made: call again.
    """
    wanted = {object_files.digest: object_files for object_files in objects}
    files: dict[str, DataFile] = {}
    for attempt in range(_ATTEMPTS):
        table.refresh()
        committed = committed_objects(table)
        missing = [wanted[digest] for digest in sorted(wanted) if digest not in committed]
        if not missing:
            return {digest: committed[digest] for digest in wanted}
        _read_footers(table, missing, files)
        try:
            _append(table, missing, files)
        except CommitFailedException:
            sleep(_wait_seconds(attempt))
    raise CommitContended(f"{table.name()[-1]}: {_ATTEMPTS} attempts lost against other commits: commit again")


def _wait_seconds(attempt: int) -> float:
    longest = min(_FIRST_WAIT_SECONDS * 2**attempt, _LONGEST_WAIT_SECONDS)
    return random.uniform(0, longest)  # noqa: S311 - jitter


def _read_footers(table: Table, missing: list[ObjectFiles], files: dict[str, DataFile]) -> None:
    """Add the manifest entries of unread files to `files`, in parallel: each costs three requests."""
    paths = [path for object_files in missing for path in object_files.paths if path not in files]
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        files.update(zip(paths, pool.map(functools.partial(_data_file, table), paths), strict=True))


def _append(table: Table, missing: list[ObjectFiles], files: dict[str, DataFile]) -> None:
    # Changes only this copy of the properties, not those of the table.
    table.metadata.properties[TableProperties.COMMIT_NUM_RETRIES] = "0"
    properties = {DIGESTS: digest_list(object_files.digest for object_files in missing)}
    paths = [path for object_files in missing for path in object_files.paths]
    with table.transaction() as transaction:
        if table.metadata.name_mapping() is None:
            mapping = table.schema().name_mapping.model_dump_json()
            transaction.set_properties({TableProperties.DEFAULT_NAME_MAPPING: mapping})
        with transaction.update_snapshot(snapshot_properties=properties).merge_append() as append:
            for path in paths:
                append.append_data_file(files[path])


def _data_file(table: Table, path: str) -> DataFile:
    """The manifest entry of a file; without statistics the file would be in no partition, and filters would miss it."""
    try:
        file = parquet_file_to_data_file(table.io, table.metadata, path)
    except ValueError as error:
        raise UnreadableFile(f"{path} does not fit the table {table.name()[-1]}: {error}") from error
    schema = table.schema()
    required = [field.field_id for field in schema.fields if field.required]
    bounds = file.lower_bounds or {}
    lacking = [schema.find_column_name(identity) for identity in required if identity not in bounds]
    if lacking or file.partition[0] is None:
        raise UnreadableFile(f"{path} has no statistics of {', '.join(map(str, lacking)) or 'its partition'}")
    return file


def committed_objects(table: Table) -> dict[str, int]:
    """Every object in a snapshot's summary, with that snapshot's id."""
    found: dict[str, int] = {}
    for snapshot in table.metadata.snapshots:
        for digest in digests_of(snapshot):
            found[digest] = snapshot.snapshot_id
    return found


def digests_of(snapshot: Snapshot) -> list[str]:
    """The landing objects that a snapshot added."""
    text = (snapshot.summary.additional_properties if snapshot.summary else {}).get(DIGESTS, "")
    return text.split(",") if text else []


def commits(table: Table) -> list[Commit]:
    """The snapshots that added landing objects, for the progress of runs."""
    return [
        Commit(
            snapshot_id=snapshot.snapshot_id,
            sequence=snapshot.sequence_number or 0,
            rows=int(snapshot.summary["added-records"] or 0) if snapshot.summary else 0,
            at=snapshot.timestamp_ms // 1000,
        )
        for snapshot in table.metadata.snapshots
        if digests_of(snapshot)
    ]
