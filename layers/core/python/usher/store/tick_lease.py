"""STATE's lease: one tick at a time. It spares work; that nothing happens twice rests on the writes' own conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from usher.errors import TickUnderWay, is_condition_failed
from usher.store import keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: The function's time-out and ten seconds: a tick that is alive never loses its lease.
LEASE_SECONDS = 310


class Lease:
    """The lease of one experiment for one holder, an execution's name."""

    def __init__(self, table: Table, experiment_id: str, holder: str) -> None:
        self._table = table
        self._key = keys.experiment_state(experiment_id)
        self._holder = holder

    def take(self, now: float) -> None:
        """Take it; TickUnderWay when another holder has it."""
        try:
            self._table.update_item(
                Key=self._key.item(),
                UpdateExpression="SET lease = :lease",
                ConditionExpression="attribute_not_exists(lease) OR lease.expires_at <= :now OR lease.holder = :me",
                ExpressionAttributeValues={
                    ":lease": {"holder": self._holder, "expires_at": int(now) + LEASE_SECONDS},
                    ":now": int(now),
                    ":me": self._holder,
                },
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            raise TickUnderWay(f"another tick is at work on {self._key.pk}: this one comes later") from error

    def give_back(self) -> None:
        """Give it back, if it is still this holder's."""
        try:
            self._table.update_item(
                Key=self._key.item(),
                UpdateExpression="REMOVE lease",
                ConditionExpression="lease.holder = :me",
                ExpressionAttributeValues={":me": self._holder},
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise
