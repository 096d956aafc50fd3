"""Commits the data files of many landing objects in one Iceberg snapshot, each object exactly once.

The snapshot's summary holds the digests of its objects, so a commit and the knowledge of it are one atomic write. Each
attempt first looks through the summaries of all snapshots: what is found there was committed, whatever else says so.
PyIceberg's own retry would commit again without looking, and add a file twice when two race with the same object, so
it is off.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.table import TableProperties

from usher.errors import CommitContended, UnreadableFile
from usher.schema.ids import digest_list
from usher.store.run_progress import Commit

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

#: The summary's property that names the landing objects of a commit.
DIGESTS = "usher.digests"
_ATTEMPTS = 30
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0
_FOOTERS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Addition:
    """The data files of one landing object."""

    digest: str
    paths: tuple[str, ...]


def commit_objects(
    table: Table, additions: Iterable[Addition], *, sleep: Callable[[float], None] = time.sleep
) -> dict[str, int]:
    """Commit what is not committed yet; the snapshot id that holds each object.

    UnreadableFile when a file has no statistics or no partition (nothing is committed then), CommitContended when
    others were faster every time. Any other failure leaves open whether the commit was made: call again.
    """
    wanted = {addition.digest: addition for addition in additions}
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
    raise CommitContended(f"{table.name()[-1]}: other commits came first {_ATTEMPTS} times in a row")


def _wait_seconds(attempt: int) -> float:
    longest = min(_FIRST_WAIT_SECONDS * 2**attempt, _LONGEST_WAIT_SECONDS)
    return random.uniform(0, longest)  # noqa: S311 - jitter, so that two committers do not meet again


def _read_footers(table: Table, missing: list[Addition], files: dict[str, DataFile]) -> None:
    """Put the manifest entries of files that were not read yet into `files`; each costs three requests, so at once."""
    paths = [path for addition in missing for path in addition.paths if path not in files]
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        files.update(zip(paths, pool.map(functools.partial(_data_file, table), paths), strict=True))


def _append(table: Table, missing: list[Addition], files: dict[str, DataFile]) -> None:
    # Only this copy of the properties: the table's own, for other writers, stay as they are.
    table.metadata.properties[TableProperties.COMMIT_NUM_RETRIES] = "0"
    properties = {DIGESTS: digest_list(addition.digest for addition in missing)}
    paths = [path for addition in missing for path in addition.paths]
    with table.transaction() as transaction:
        if table.metadata.name_mapping() is None:
            mapping = table.schema().name_mapping.model_dump_json()
            transaction.set_properties({TableProperties.DEFAULT_NAME_MAPPING: mapping})
        with transaction.update_snapshot(snapshot_properties=properties).merge_append() as append:
            for path in paths:
                append.append_data_file(files[path])


def _data_file(table: Table, path: str) -> DataFile:
    """The file's entry for the manifest; a file without statistics would lie in no partition, and filters miss it."""
    try:
        file = parquet_file_to_data_file(table.io, table.metadata, path)
    except ValueError as error:
        raise UnreadableFile(f"{path} does not fit {table.name()[-1]}: {error}") from error
    schema = table.schema()
    required = [field.field_id for field in schema.fields if field.required]
    bounds = file.lower_bounds or {}
    lacking = [schema.find_column_name(identity) for identity in required if identity not in bounds]
    if lacking or file.partition[0] is None:
        raise UnreadableFile(f"{path} has no statistics of {', '.join(map(str, lacking)) or 'its partition'}")
    return file


def committed_objects(table: Table) -> dict[str, int]:
    """Every object that a snapshot's summary names, with that snapshot's id."""
    found: dict[str, int] = {}
    for snapshot in table.metadata.snapshots:
        for digest in digests_of(snapshot):
            found[digest] = snapshot.snapshot_id
    return found


def digests_of(snapshot: Snapshot) -> list[str]:
    """The landing objects that a snapshot brought."""
    text = (snapshot.summary.additional_properties if snapshot.summary else {}).get(DIGESTS, "")
    return text.split(",") if text else []


def commits(table: Table) -> list[Commit]:
    """The snapshots that brought landing objects, for RUN/HEAD."""
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
