"""Takes a batch of catalog messages from the ledger to the tables and back, safe at any crash point."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from usher.errors import NotAnEvent, NotInLedger, UnreadableFile
from usher.schema.s3_paths import data_key
from usher.store.ingested_objects import Entry, Ledger
from usher.store.run_progress import count_commits
from usher_lake.commit import Addition, commit_objects, commits

if TYPE_CHECKING:
    from pyiceberg.table import Table


@dataclass(frozen=True, slots=True)
class BatchResult:
    """snapshots: the commit that holds each object, by digest. errors: of the messages that failed, by message id."""

    snapshots: dict[str, int] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)


def catalog_batch(
    messages: Mapping[str, str], ledger: Ledger, load: Callable[[str], Table], lake_bucket: str
) -> BatchResult:
    """Commit the objects that these messages (body by id) name, one commit a data set; one never hinders another.

    The ledger says which data set an object went to: a message alone is believed nothing but its digest.
    """
    result = BatchResult()
    digests = _digests(messages, result.errors)
    entries = ledger.find_all(digests.values())
    groups: dict[str, list[str]] = defaultdict(list)
    for message, digest in digests.items():
        if digest in entries:
            groups[entries[digest].dataset].append(message)
        else:
            result.errors[message] = NotInLedger(f"object {digest} has no ledger item: was the state table emptied?")
    for dataset, group in groups.items():
        commit = functools.partial(_commit, functools.partial(load, dataset), ledger, lake_bucket)
        commit({message: entries[digests[message]] for message in group}, result)
    return result


def _commit(
    load: Callable[[], Table], ledger: Ledger, lake_bucket: str, chosen: Mapping[str, Entry], result: BatchResult
) -> None:
    """Commit one data set's objects (by message). A data file that cannot be read is told apart from its good
    neighbours by halving, so that they are not held up by it."""
    try:
        entries = {entry.digest: entry for entry in chosen.values()}
        result.snapshots.update(catalog_objects(load(), ledger, lake_bucket, entries.values()))
    except Exception as error:  # noqa: BLE001 - the others of the batch go on; answer() logs it
        messages = list(chosen)
        if len(messages) == 1 or not isinstance(error, UnreadableFile | FileNotFoundError):
            result.errors.update(dict.fromkeys(messages, error))
            return
        half = len(messages) // 2
        for part in (messages[:half], messages[half:]):
            _commit(load, ledger, lake_bucket, {message: chosen[message] for message in part}, result)


def _digests(messages: Mapping[str, str], errors: dict[str, Exception]) -> dict[str, str]:
    found = {}
    for message, body in messages.items():
        try:
            found[message] = str(json.loads(body)["digest"])
        except (ValueError, TypeError, KeyError, RecursionError):
            errors[message] = NotAnEvent(f"not a catalog message: {body[:200]!r}")
    return found


def catalog_objects(table: Table, ledger: Ledger, lake_bucket: str, entries: Iterable[Entry]) -> dict[str, int]:
    """Commit these objects of one data set; the snapshot that holds each, by digest.

    Every step can be repeated: a crash after any of them is made good by the message that comes again.
    """
    waiting = [entry for entry in entries if entry.status in ("parsed", "committing")]
    for entry in waiting:
        if entry.status == "parsed":
            ledger.committing(entry.digest)
    held = commit_objects(table, [_addition(entry, lake_bucket) for entry in waiting])
    for digest, snapshot_id in held.items():
        ledger.committed(digest, snapshot_id)
    count_commits(ledger.table, table.name()[-1], commits(table))
    return held


def _addition(entry: Entry, lake_bucket: str) -> Addition:
    keys = (data_key(entry.dataset, entry.digest, part) for part in range(entry.files))
    return Addition(entry.digest, tuple(f"s3://{lake_bucket}/{key}" for key in keys))
