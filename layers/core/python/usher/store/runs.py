"""RUN#id/META: what a run is doing, cost, decided and ended with; one item a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from usher.schema import ids
from usher.store import keys
from usher.store.codec import loaded, stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: What a run's status may be: running, then one of the others.
STATUSES = ("running", "succeeded", "refused", "failed", "timed_out", "aborted")

#: So often is a run started by itself on the same data.
ATTEMPTS = 3
_CAUSE_MAX = 1500


class Runs:
    """The runs in the state table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, run_id: str) -> dict[str, Any] | None:
        """A run's record, read consistently, or None."""
        item = self._table.get_item(Key=keys.run(run_id).item(), ConsistentRead=True).get("Item")
        return None if item is None else dict(loaded(item))

    def record(self, run_id: str, **fields: Any) -> None:
        """Set fields of a run's record; the same call twice is the same record."""
        names = {f"#{number}": name for number, name in enumerate(fields)}
        values = {f":{number}": stored(value) for number, value in enumerate(fields.values())}
        self._table.update_item(
            Key=keys.run(run_id).item(),
            UpdateExpression="SET " + ", ".join(f"#{number} = :{number}" for number in range(len(fields))),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    def next_id(self, snapshots: Mapping[str, int], attempts: int = ATTEMPTS) -> str | None:
        """The id of the next run on these snapshots: the first attempt that no run has been; None past `attempts`."""
        for attempt in range(1, attempts + 1):
            run_id = ids.run_id(snapshots, attempt)
            if self.find(run_id) is None:
                return run_id
        return None


def words(error: str, cause: str) -> str:
    """An error of the workflow as one line that a person can act on; jobs and functions answer with JSON."""
    said = _said(cause).strip() or "no cause was given"
    line = " ".join(said.split())
    named = line if not error or error.startswith("States.TaskFailed") else f"{error}: {line}"
    return named if len(named) <= _CAUSE_MAX else named[: _CAUSE_MAX - 1] + "…"


def _said(cause: str) -> str:
    """What a job's description or a function's error says went wrong; else the cause as it is."""
    try:
        body = json.loads(cause)
    except (ValueError, RecursionError):
        return cause
    if not isinstance(body, dict):
        return cause
    if "errorMessage" in body:
        return str(body["errorMessage"])
    name = next((str(body[key]) for key in _JOB_NAMES if key in body), "the job")
    status = next((str(body[key]) for key in _JOB_STATUSES if key in body), "")
    # A processing job's FailureReason points to its logs; what its program said is the exit message.
    reason = body.get("ExitMessage") or body.get("FailureReason")
    return f"{name} {status.lower() or 'failed'}: {reason or 'no reason was given'}" if status or reason else cause


_JOB_NAMES = ("TrainingJobName", "ProcessingJobName", "HyperParameterTuningJobName", "EndpointName")
_JOB_STATUSES = ("TrainingJobStatus", "ProcessingJobStatus", "HyperParameterTuningJobStatus", "EndpointStatus")
