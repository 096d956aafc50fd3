"""The last step of a decision: its side_effects are done, and struck off if nobody has written others meanwhile."""

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


def finish(table: Table, side_effects: Chores, experiment_id: str) -> bool:
    """Whether all that was to be done is done."""
    kept = Kept.read(table, experiment_id)
    if not kept.side_effects:
        return True
    side_effects.do(kept.side_effects, str(kept.summary.get("reason", "")))
    try:
        table.update_item(
            Key=keys.experiment_state(experiment_id).item(),
            UpdateExpression="REMOVE side_effects",
            ConditionExpression="side_effects = :done",
            ExpressionAttributeValues={":done": stored(kept.side_effects)},
        )
    except ClientError as error:
        if not is_condition_failed(error):
            raise
        return False
    return True
