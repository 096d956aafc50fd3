"""Takes a batch of catalog messages for one data set from the ledger to the table and back, safe at any crash point."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from usher.errors import NotInLedger
from usher.head import count_commits
from usher.ledger import Entry, Ledger
from usher.records.places import data_key
from usher_lake.commit import Addition, commit_objects, commits

if TYPE_CHECKING:
    from pyiceberg.table import Table


def catalog_objects(table: Table, ledger: Ledger, lake_bucket: str, entries: Iterable[Entry]) -> dict[str, int]:
    """Commit these objects of one data set; the snapshot that holds each, by digest.

    Every step can be repeated: a crash after any of them is made good by the message that comes again.
    """
    open_entries = [entry for entry in entries if entry.status in ("parsed", "committing")]
    for entry in open_entries:
        if entry.status == "parsed":
            ledger.committing(entry.digest)
    held = commit_objects(table, [_addition(entry, lake_bucket) for entry in open_entries])
    for digest, snapshot_id in held.items():
        ledger.committed(digest, snapshot_id)
    count_commits(ledger.table, table.name()[-1], commits(table))
    return held


def _addition(entry: Entry, lake_bucket: str) -> Addition:
    keys = (data_key(entry.dataset, entry.digest, part) for part in range(entry.files))
    return Addition(entry.digest, tuple(f"s3://{lake_bucket}/{key}" for key in keys))


def require(entries: dict[str, Entry], digest: str) -> Entry:
    """The ledger's entry of a message; NotInLedger when there is none."""
    try:
        return entries[digest]
    except KeyError:
        raise NotInLedger(f"object {digest} has no ledger item: was the state table emptied?") from None
