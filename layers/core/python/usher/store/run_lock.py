"""RUN/LOCK: a lease that one run holds, so that two never run at once; it lapses when its holder is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import RunInProgress, is_condition_failed
from usher.store import keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: From the decision to start until the workflow's first state has renewed the lease.
STARTING_SECONDS = 900
#: The workflow's own time-out (a day) and an hour: a run that is alive never loses its lease.
RUNNING_SECONDS = 25 * 3600


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds the lock. execution_arn: empty until the workflow's first state. expires_at: epoch seconds."""

    run_id: str
    execution_arn: str
    expires_at: int


class RunLock:
    """The lease of the one run that may be under way. Every write is conditional, and safe to repeat."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def holder(self, now: int) -> Lease | None:
        """Who holds the lock at `now` (epoch seconds), or None."""
        item = self._table.get_item(Key=keys.RUN_LOCK.item(), ConsistentRead=True).get("Item")
        if item is None or int(str(item["expires_at"])) <= now:
            return None
        return Lease(str(item["run_id"]), str(item["execution_arn"]), int(str(item["expires_at"])))

    def take(self, run_id: str, now: int, execution_arn: str = "") -> None:
        """Take the lease, or prolong one's own; RunInProgress names the run that holds it."""
        seconds = RUNNING_SECONDS if execution_arn else STARTING_SECONDS
        item: dict[str, Any] = {"run_id": run_id, "execution_arn": execution_arn, "expires_at": now + seconds}
        mine = "run_id = :me AND execution_arn IN (:none, :execution)"
        try:
            self._table.put_item(
                Item=keys.RUN_LOCK.item() | item,
                ConditionExpression=f"attribute_not_exists(pk) OR expires_at <= :now OR ({mine})",
                ExpressionAttributeValues={":now": now, ":me": run_id, ":none": "", ":execution": execution_arn},
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            raise RunInProgress(self._who(run_id, now)) from error

    def release(self, run_id: str) -> bool:
        """Give the lease back; False when another run holds it, or nobody."""
        try:
            self._table.delete_item(
                Key=keys.RUN_LOCK.item(),
                ConditionExpression="run_id = :me",
                ExpressionAttributeValues={":me": run_id},
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            return False
        return True

    def _who(self, run_id: str, now: int) -> str:
        held = self.holder(now)
        if held is None:
            return f"run {run_id} did not get the lock: another one gave it back at that moment; it is asked again"
        return (
            f"run {run_id} cannot start: run {held.run_id} holds the lock for at most {held.expires_at - now} s more; "
            f"it ends with its execution ({held.execution_arn or 'not started yet'})"
        )
