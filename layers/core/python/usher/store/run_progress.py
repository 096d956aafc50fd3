"""RUN/HEAD: what the lake holds since the last run, kept so that a crash or a second delivery counts nothing twice.

A commit is counted by its Iceberg sequence number: HEAD remembers, for each data set, up to which number it has
counted, and every update counts all commits beyond it. So an update that was lost is made good by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import is_condition_failed
from usher.store import keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: Rows of these data sets are what a model learns from; a new catalogue alone starts no run.
COUNTED_DATASETS = ("ratings", "events")

#: How often to read HEAD again after another committer has written it first.
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit that brought rows. at: epoch seconds."""

    snapshot_id: int
    sequence: int
    rows: int
    at: int


def count_commits(table: Table, dataset: str, commits: Sequence[Commit]) -> None:
    """Bring HEAD in line with a data set's commits, all that the table still knows; as often as one likes."""
    if not commits:
        return
    for _ in range(_ATTEMPTS):
        head = _head(table)
        counted = head["counted"].get(dataset)
        new = [commit for commit in commits if counted is None or commit.sequence > counted]
        if not new or _write(table, dataset, counted, new, int(head["last_arrival"])):
            return
    raise RuntimeError(f"RUN/HEAD was written by others {_ATTEMPTS} times in a row: the catalog message comes again")


def _head(table: Table) -> Any:
    key = keys.RUN_HEAD.item()
    answer = table.get_item(Key=key, ConsistentRead=True)
    if "Item" in answer:
        return answer["Item"]
    empty: dict[str, Any] = {"snapshots": {}, "counted": {}, "rows_since_run": 0, "last_arrival": 0}
    try:
        table.put_item(Item=key | empty, ConditionExpression="attribute_not_exists(pk)")
    except ClientError as error:
        if not is_condition_failed(error):
            raise
        return table.get_item(Key=key, ConsistentRead=True)["Item"]
    return empty


def _write(table: Table, dataset: str, counted: Any, new: Sequence[Commit], last_arrival: int) -> bool:
    """Count `new`; False when somebody else has counted meanwhile."""
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
    try:
        table.update_item(
            Key=keys.RUN_HEAD.item(),
            UpdateExpression="SET snapshots.#dataset = :snapshot, counted.#dataset = :sequence, last_arrival = :at "
            "ADD rows_since_run :rows",
            ConditionExpression=condition,
            ExpressionAttributeNames={"#dataset": dataset},
            ExpressionAttributeValues=values,
        )
    except ClientError as error:
        if is_condition_failed(error):
            return False
        raise
    return True
