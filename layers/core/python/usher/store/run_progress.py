"""RUN/PROGRESS: the newest snapshot of each data set, and how many of its rows no run has taken yet.

A commit is counted by its Iceberg sequence number: the item remembers, for each data set, up to which number it has
counted, and every update counts all commits beyond it. So the next update makes good one that was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher.store import keys
from usher.store.codec import loaded
from usher.store.transactions import update, write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: A model learns from rows of these data sets; a new catalogue alone starts no run.
COUNTED_DATASETS = ("ratings", "events")

#: How often to read the item again after another committer has written it first.
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What the next run would start from.

    snapshots: newest snapshot id by data set. rows_since_run: new rows that no run has taken.
    last_arrival: epoch seconds of the newest commit.
    """

    snapshots: Mapping[str, int]
    rows_since_run: int
    last_arrival: int

    @classmethod
    def read(cls, table: Table) -> RunProgress:
        """Read consistently; empty before the first commit."""
        item: Any = loaded(table.get_item(Key=keys.RUN_PROGRESS.item(), ConsistentRead=True).get("Item", {}))
        return cls(item.get("snapshots", {}), item.get("rows_since_run", 0), item.get("last_arrival", 0))


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit that brought rows. at: epoch seconds."""

    snapshot_id: int
    sequence: int
    rows: int
    at: int


def count_commits(table: Table, dataset: str, commits: Sequence[Commit]) -> None:
    """Count those of a data set's commits that were not counted before (idempotent). commits: all the table knows."""
    if not commits:
        return
    for _ in range(_ATTEMPTS):
        item = _read_or_create(table)
        counted = item["counted"].get(dataset)
        new = [commit for commit in commits if counted is None or commit.sequence > counted]
        if not new or _count(table, dataset, counted, new, int(item["last_arrival"])):
            return
    raise RuntimeError(
        f"the commits of {dataset} were not counted: other committers wrote RUN/PROGRESS {_ATTEMPTS} times in a row; "
        "the catalog message is delivered again"
    )


def _read_or_create(table: Table) -> Any:
    key = keys.RUN_PROGRESS.item()
    found = table.get_item(Key=key, ConsistentRead=True)
    if "Item" in found:
        return found["Item"]
    empty: dict[str, Any] = {"snapshots": {}, "counted": {}, "rows_since_run": 0, "last_arrival": 0}
    if write_if(table.put_item, Item=key | empty, ConditionExpression="attribute_not_exists(pk)") is None:
        return empty
    return table.get_item(Key=key, ConsistentRead=True)["Item"]


def _count(table: Table, dataset: str, counted: Any, new: Sequence[Commit], last_arrival: int) -> bool:
    """Count `new`; False when another writer has counted meanwhile."""
    latest = max(new, key=lambda commit: commit.sequence)
    rows = sum(commit.rows for commit in new) if dataset in COUNTED_DATASETS else 0
    values: dict[str, Any] = {
        ":snapshot": latest.snapshot_id,
        ":sequence": latest.sequence,
        ":rows": rows,
        ":at": max(last_arrival, latest.at),
    }
    condition = "attribute_not_exists(counted.#dataset)"
    if counted is not None:
        condition, values[":counted"] = "counted.#dataset = :counted", counted
    existing = write_if(
        table.update_item,
        Key=keys.RUN_PROGRESS.item(),
        UpdateExpression="SET snapshots.#dataset = :snapshot, counted.#dataset = :sequence, last_arrival = :at "
        "ADD rows_since_run :rows",
        ConditionExpression=condition,
        ExpressionAttributeNames={"#dataset": dataset},
        ExpressionAttributeValues=values,
    )
    return existing is None


def take_rows(table: Table, run_id: str, rows: int) -> None:
    """Subtract the rows that a run covers, once for each run; rows that arrive meanwhile wait for the next run."""
    client = table.meta.client
    take: Any = update(table.name, keys.run(run_id), {"rows_taken": rows}, "attribute_not_exists(rows_taken)")
    subtract: Any = {
        "TableName": table.name,
        "Key": keys.RUN_PROGRESS.item(),
        "UpdateExpression": "ADD rows_since_run :taken",
        "ExpressionAttributeValues": {":taken": -rows},
    }
    try:
        client.transact_write_items(TransactItems=[{"Update": take}, {"Update": subtract}])
    except client.exceptions.TransactionCanceledException as error:
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
        if reasons[:1] != ["ConditionalCheckFailed"]:
            raise
