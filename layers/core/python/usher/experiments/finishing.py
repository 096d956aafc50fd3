"""The last step of a decision: its chores are done, and struck off if nobody has written others meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from usher.errors import is_condition_failed
from usher.experiments.side_effects import Chores
from usher.store import keys
from usher.store.codec import stored
from usher.store.experiment_state import Kept

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def finish(table: Table, chores: Chores, experiment_id: str) -> bool:
    """Whether all that was to be done is done."""
    kept = Kept.read(table, experiment_id)
    if not kept.chores:
        return True
    chores.do(kept.chores, str(kept.summary.get("reason", "")))
    try:
        table.update_item(
            Key=keys.experiment_state(experiment_id).item(),
            UpdateExpression="REMOVE chores",
            ConditionExpression="chores = :done",
            ExpressionAttributeValues={":done": stored(kept.chores)},
        )
    except ClientError as error:
        if not is_condition_failed(error):
            raise
        return False
    return True
