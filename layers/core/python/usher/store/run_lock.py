"""RUN/LOCK: a lease that one run holds, so that two never run at once; it expires when its holder has died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher.errors import RunInProgress
from usher.store import keys
from usher.store.transactions import write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: From the decision to start a run until the workflow's first state has renewed the lease.
STARTING_SECONDS = 900
#: The workflow's own time-out (a day) and an hour: a run that is alive never loses its lease.
RUNNING_SECONDS = 25 * 3600


@dataclass(frozen=True, slots=True)
class RunLease:
    """The run that holds the lock. execution_arn: empty until the workflow's first state. expires_at: epoch seconds."""

    run_id: str
    execution_arn: str
    expires_at: int


class RunLock:
    """The lease of the one run that may be in progress. Every write is conditional and idempotent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def holder(self, now: int) -> RunLease | None:
        """The lease that is valid at `now` (epoch seconds), or None."""
        item = self._table.get_item(Key=keys.RUN_LOCK.item(), ConsistentRead=True).get("Item")
        if item is None or int(str(item["expires_at"])) <= now:
            return None
        return RunLease(str(item["run_id"]), str(item["execution_arn"]), int(str(item["expires_at"])))

    def take(self, run_id: str, now: int, execution_arn: str = "") -> None:
        """Take the lease, or renew this run's own; RunInProgress names the run that holds it."""
        seconds = RUNNING_SECONDS if execution_arn else STARTING_SECONDS
        item: dict[str, Any] = {"run_id": run_id, "execution_arn": execution_arn, "expires_at": now + seconds}
        own = "run_id = :run AND execution_arn IN (:none, :execution)"
        held = write_if(
            self._table.put_item,
            Item=keys.RUN_LOCK.item() | item,
            ConditionExpression=f"attribute_not_exists(pk) OR expires_at <= :now OR ({own})",
            ExpressionAttributeValues={":now": now, ":run": run_id, ":none": "", ":execution": execution_arn},
        )
        if held is not None:
            raise RunInProgress(self._refusal(run_id, now))

    def release(self, run_id: str) -> bool:
        """Release the lease; False when this run does not hold it."""
        own = {"ConditionExpression": "run_id = :run", "ExpressionAttributeValues": {":run": run_id}}
        return write_if(self._table.delete_item, Key=keys.RUN_LOCK.item(), **own) is None

    def _refusal(self, run_id: str, now: int) -> str:
        lease = self.holder(now)
        if lease is None:
            return f"run {run_id} did not get the lock, which another run has just released: try again"
        return (
            f"run {run_id} cannot start: run {lease.run_id} holds the lock for at most {lease.expires_at - now} s "
            f"more; it is released when its execution ends ({lease.execution_arn or 'not started yet'})"
        )


def delete_lock(table: Table) -> None:
    """Delete the lease of any run: the workflow that held it is gone."""
    table.delete_item(Key=keys.RUN_LOCK.item())
