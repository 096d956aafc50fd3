"""RUN#id/META: what a run is doing, what it costs, the gate's verdict and how it ended; one item for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from usher.schema import ids
from usher.store import keys
from usher.store.codec import loaded, read_batches, stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource, Table

#: A run's status: running, then one of the others.
STATUSES = ("running", "succeeded", "refused", "failed", "timed_out", "aborted")

#: How many runs start automatically on the same data.
ATTEMPTS = 3


class Runs:
    """The runs in the state table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, run_id: str) -> dict[str, Any] | None:
        """A run's record, read consistently, or None."""
        item = self._table.get_item(Key=keys.run(run_id).item(), ConsistentRead=True).get("Item")
        return None if item is None else dict(loaded(item))

    def record(self, run_id: str, **fields: Any) -> None:
        """Set fields of a run's record (idempotent)."""
        names = {f"#{number}": name for number, name in enumerate(fields)}
        values = {f":{number}": stored(value) for number, value in enumerate(fields.values())}
        self._table.update_item(
            Key=keys.run(run_id).item(),
            UpdateExpression="SET " + ", ".join(f"#{number} = :{number}" for number in range(len(fields))),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    def next_id(self, snapshots: Mapping[str, int], attempts: int = ATTEMPTS) -> str | None:
        """The id of the next run on these snapshots: of the first unused attempt; None when all are used."""
        for attempt in range(1, attempts + 1):
            run_id = ids.run_id(snapshots, attempt)
            if self.find(run_id) is None:
                return run_id
        return None


def read_runs(dynamodb: DynamoDBServiceResource, table_name: str, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Records by run id, read in batches; a run without a record is left out."""
    items = read_batches(dynamodb, table_name, [keys.run(run_id) for run_id in run_ids])
    return {keys.run_id(item): dict(loaded(item)) for item in items}
