"""When a run starts: enough new rows, a catalogue, quiet, nobody running, no experiment open; else when to ask again.

Who asks: catalog_objects after each commit (by a delayed message, so that the answer can be yes), prepare_next at the
end of a run, and whoever closes an experiment. Asking is safe at any time and any number of times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import RunInProgress, code
from usher.store import keys
from usher.store.codec import loaded
from usher.store.router import read_router
from usher.store.run_lock import RunLock
from usher.store.run_progress import COUNTED_DATASETS
from usher.store.runs import ATTEMPTS, Runs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_sqs import SQSClient

#: SQS delays a message by no more.
DELAY_MAX_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Head:
    """RUN/HEAD. rows_since_run: new rows that no run has taken. last_arrival: epoch seconds of the newest commit."""

    snapshots: Mapping[str, int]
    rows_since_run: int
    last_arrival: int

    @classmethod
    def read(cls, table: Table) -> Head:
        """The head as it stands, read consistently; an empty one before the first commit."""
        item: Any = loaded(table.get_item(Key=keys.RUN_HEAD.item(), ConsistentRead=True).get("Item", {}))
        return cls(item.get("snapshots", {}), item.get("rows_since_run", 0), item.get("last_arrival", 0))


@dataclass(frozen=True, slots=True)
class Rule:
    """The deployment's parameters of the start."""

    min_new_rows: int
    quiet_seconds: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a run is due. wait_seconds: above 0 when only quiet is lacking. reason: in words."""

    due: bool
    reason: str
    wait_seconds: int = 0


def decide(head: Head, rule: Rule, running: str, experiment: str, now: int) -> Answer:
    """The start rule. running: the run that holds the lock, or empty. experiment: the open one, or empty."""
    if head.rows_since_run < rule.min_new_rows:
        return Answer(False, f"{head.rows_since_run} new rows: a run starts from {rule.min_new_rows} on")
    missing = ["items"] if "items" not in head.snapshots else []
    if not head.snapshots.keys() & set(COUNTED_DATASETS):
        missing.insert(0, "ratings and no events")
    if missing:
        return Answer(False, f"{head.rows_since_run} new rows, but no {' and no '.join(missing)} yet")
    if running:
        return Answer(False, f"run {running} is under way: it asks again when it ends")
    if experiment:
        return Answer(False, f"experiment {experiment} is open: it asks again when it closes")
    left = head.last_arrival + rule.quiet_seconds - now
    if left > 0:
        return Answer(False, f"the last rows came {now - head.last_arrival} s ago: quiet is due in {left} s", left)
    return Answer(True, f"{head.rows_since_run} new rows, quiet for {now - head.last_arrival} s")


class Starter:
    """Asks the rule of the state table and starts the workflow when a run is due."""

    def __init__(self, table: Table, states: Any, workflow_arn: str, rule: Rule) -> None:
        self._table = table
        self._states = states
        self._workflow_arn = workflow_arn
        self._rule = rule
        self._lock = RunLock(table)
        self._runs = Runs(table)

    def ask(self, now: int) -> Answer:
        """Start a run if one is due; two who ask at once start one."""
        head = Head.read(self._table)
        running = self._lock.holder(now)
        router = read_router(self._table)
        experiment = router.experiment_id if router and router.experiment_is_open else ""
        # A lease without an execution is a start that somebody may have died in: its run is the one that is due here.
        other = running.run_id if running and running.execution_arn else ""
        answer = decide(head, self._rule, other, experiment, now)
        if not answer.due:
            return answer
        return self._start(head, answer, now)

    def _start(self, head: Head, answer: Answer, now: int) -> Answer:
        run_id = self._runs.next_id(head.snapshots)
        if run_id is None:
            return Answer(False, f"{ATTEMPTS} runs on the same data did not succeed: see why with `usher runs`")
        try:
            self._lock.take(run_id, now)
        except RunInProgress as error:
            return Answer(False, str(error))
        # Snapshot ids go as text: 64 bits do not survive a workflow's numbers.
        snapshots = {name: str(snapshot) for name, snapshot in sorted(head.snapshots.items())}
        given = json.dumps({"run_id": run_id, "snapshots": snapshots, "rows": head.rows_since_run})
        try:
            self._states.start_execution(stateMachineArn=self._workflow_arn, name=run_id, input=given)
        except ClientError as error:
            if code(error) != "ExecutionAlreadyExists":
                self._lock.release(run_id)
                raise
            return self._already(run_id, error)
        return Answer(True, f"run {run_id} starts: {answer.reason}")

    def _already(self, run_id: str, error: ClientError) -> Answer:
        """Somebody has started an execution of that name: it runs, or it ended before its first state."""
        arn = f"{self._workflow_arn.replace(':stateMachine:', ':execution:')}:{run_id}"
        status = self._states.describe_execution(executionArn=arn)["status"]
        if status == "RUNNING":
            return Answer(False, f"run {run_id} is under way")
        self._runs.record(run_id, status="failed", cause=f"its execution was {status} before its first state: {error}")
        self._lock.release(run_id)
        return Answer(False, f"run {run_id} has ended before its first state: the next question starts it anew", 1)


def take_rows(table: Table, run_id: str, rows: int) -> None:
    """Take the rows that a run covers out of rows_since_run, once for a run: what arrives meanwhile is for the next."""
    client = table.meta.client
    try:
        client.transact_write_items(
            TransactItems=[
                {
                    "Update": {
                        "TableName": table.name,
                        "Key": keys.run(run_id).item(),
                        "UpdateExpression": "SET rows_taken = :rows",
                        "ConditionExpression": "attribute_not_exists(rows_taken)",
                        "ExpressionAttributeValues": {":rows": rows},
                    }
                },
                {
                    "Update": {
                        "TableName": table.name,
                        "Key": keys.RUN_HEAD.item(),
                        "UpdateExpression": "ADD rows_since_run :taken",
                        "ExpressionAttributeValues": {":taken": -rows},
                    }
                },
            ]
        )
    except client.exceptions.TransactionCanceledException as error:
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
        if reasons[:1] != ["ConditionalCheckFailed"]:
            raise


def ask_when_quiet(sqs: SQSClient, queue_url: str, last_arrival: int, wait_seconds: int) -> None:
    """Have prepare_next asked in `wait_seconds` (or in 15 minutes, then again).

    last_arrival: the newest commit that the question is about; a question that a newer commit has overtaken is dropped,
    since that commit has asked its own.
    """
    sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps({"last_arrival": last_arrival}),
        DelaySeconds=min(max(wait_seconds, 0), DELAY_MAX_SECONDS),
    )


def is_overtaken(head: Head, last_arrival: int) -> bool:
    """Whether a newer commit has come since a question was sent."""
    return head.last_arrival > last_arrival
