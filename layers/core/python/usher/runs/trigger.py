"""When a run starts: enough new rows, a catalogue, a quiet period, no other run, no open experiment.

catalog_objects has the rule checked after each commit (by a message that is delayed until the quiet period ends),
prepare_next checks it at the end of a run, the shift workflow when an experiment closes. Every check is idempotent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import InputError, RunInProgress, code
from usher.runs.completion import RunOutcome, complete_run
from usher.store.router import read_router
from usher.store.run_lock import RunLock
from usher.store.run_progress import COUNTED_DATASETS, RunProgress
from usher.store.runs import ATTEMPTS, Runs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_sqs import SQSClient

#: SQS's upper bound of DelaySeconds.
DELAY_MAX_SECONDS = 900


@dataclass(frozen=True, slots=True)
class TriggerRule:
    """The deployment's parameters: how many new rows start a run, and how long no row may have arrived."""

    min_new_rows: int
    quiet_seconds: int


@dataclass(frozen=True, slots=True)
class TriggerDecision:
    """Whether a run is due, and why. wait_seconds: above 0 when only the quiet period has to end."""

    due: bool
    reason: str
    wait_seconds: int = 0


def decide(progress: RunProgress, rule: TriggerRule, running: str, experiment: str, now: int) -> TriggerDecision:
    """Apply the rule. running: the run that holds the lock, or empty. experiment: the open one, or empty."""
    rows = progress.rows_since_run
    if rows < rule.min_new_rows:
        return TriggerDecision(False, f"{rows} new rows: a run starts at {rule.min_new_rows}")
    missing = ["items"] if "items" not in progress.snapshots else []
    if not progress.snapshots.keys() & set(COUNTED_DATASETS):
        missing.insert(0, "ratings and no events")
    if missing:
        return TriggerDecision(False, f"{rows} new rows, but no {' and no '.join(missing)} yet")
    if running:
        return TriggerDecision(False, f"run {running} is in progress: the rule is checked again when it ends")
    if experiment:
        return TriggerDecision(False, f"experiment {experiment} is open: the rule is checked again when it closes")
    quiet = now - progress.last_arrival
    if quiet < rule.quiet_seconds:
        left = rule.quiet_seconds - quiet
        return TriggerDecision(False, f"the last rows arrived {quiet} s ago: the quiet period ends in {left} s", left)
    return TriggerDecision(True, f"{rows} new rows, none in the last {quiet} s")


class RunStarter:
    """Checks the rule on the state table and starts the workflow when a run is due."""

    def __init__(self, table: Table, states: Any, workflow_arn: str, rule: TriggerRule) -> None:
        self._table = table
        self._states = states
        self._workflow_arn = workflow_arn
        self._rule = rule
        self._lock = RunLock(table)
        self._runs = Runs(table)

    def start_if_due(self, now: int) -> TriggerDecision:
        """Start a run if one is due; of two checks at once, one starts it."""
        progress = RunProgress.read(self._table)
        lease = self._lock.holder(now)
        router = read_router(self._table)
        experiment = router.experiment_id if router and router.experiment_is_open else ""
        # A lease without an execution is a start that crashed: the run that is due here has its id and takes it over.
        running = lease.run_id if lease and lease.execution_arn else ""
        decision = decide(progress, self._rule, running, experiment, now)
        return self._start(progress, decision, now) if decision.due else decision

    def _start(self, progress: RunProgress, decision: TriggerDecision, now: int) -> TriggerDecision:
        run_id = self._runs.next_id(progress.snapshots)
        if run_id is None:
            reason = f"{ATTEMPTS} runs on the same data did not succeed: `usher runs` shows their causes"
            return TriggerDecision(False, reason)
        try:
            self._lock.take(run_id, now)
        except RunInProgress as error:
            return TriggerDecision(False, str(error))
        # Snapshot ids go as strings: 64 bits do not survive a workflow's numbers.
        snapshots = {name: str(snapshot) for name, snapshot in sorted(progress.snapshots.items())}
        given = json.dumps({"run_id": run_id, "snapshots": snapshots, "rows": progress.rows_since_run})
        try:
            self._states.start_execution(stateMachineArn=self._workflow_arn, name=run_id, input=given)
        except ClientError as error:
            if code(error) != "ExecutionAlreadyExists":
                self._lock.release(run_id)
                raise
            return self._already_started(run_id, error)
        return TriggerDecision(True, f"run {run_id} starts: {decision.reason}")

    def _already_started(self, run_id: str, error: ClientError) -> TriggerDecision:
        """An execution of that name exists: it runs, or it ended before its first state."""
        arn = f"{self._workflow_arn.replace(':stateMachine:', ':execution:')}:{run_id}"
        status = self._states.describe_execution(executionArn=arn)["status"]
        if status == "RUNNING":
            return TriggerDecision(False, f"run {run_id} is in progress")
        self._runs.record(run_id, status="failed", cause=f"its execution was {status} before its first state: {error}")
        self._lock.release(run_id)
        return TriggerDecision(False, f"run {run_id} ended before its first state: the next check starts another", 1)


class RunTrigger:
    """Checks the rule, and again by a delayed message when only the quiet period has to end."""

    def __init__(self, table: Table, starter: RunStarter, sqs: SQSClient, queue_url: str) -> None:
        self._table = table
        self._starter = starter
        self._sqs = sqs
        self._queue_url = queue_url

    def check(self, now: int) -> TriggerDecision:
        """Start a run if one is due; when only the quiet period has to end, a message repeats the check."""
        decision = self._starter.start_if_due(now)
        if decision.wait_seconds:
            last_arrival = RunProgress.read(self._table).last_arrival
            check_later(self._sqs, self._queue_url, last_arrival, decision.wait_seconds)
        return decision

    def completed(self, outcome: RunOutcome, now: int) -> TriggerDecision:
        """Record how a run ended, release its lock, and check whether the next one is due."""
        complete_run(Runs(self._table), RunLock(self._table), outcome, now)
        return self.check(now)

    def message(self, body: str, now: int) -> TriggerDecision | None:
        """One message of the queue: an execution's end (from EventBridge), or a delayed check.

        None for a check that a newer commit has superseded, since that commit sent its own. InputError for any other
        message.
        """
        given = _object(body)
        if "detail" in given:
            return self.completed(RunOutcome.of_event(given), now)
        try:
            last_arrival = int(given["last_arrival"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"a message of the quiet queue has neither detail nor last_arrival: {body[:200]!r}; nothing to do, "
                "find out who sent it"
            ) from error
        return None if is_superseded(RunProgress.read(self._table), last_arrival) else self.check(now)


def check_later(sqs: SQSClient, queue_url: str, last_arrival: int, wait_seconds: int) -> None:
    """Send prepare_next a message that repeats the check in `wait_seconds` (at most 15 minutes at once).

    last_arrival: the newest commit that the check is about, epoch seconds; a newer commit supersedes it.
    """
    sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps({"last_arrival": last_arrival}),
        DelaySeconds=min(max(wait_seconds, 0), DELAY_MAX_SECONDS),
    )


def is_superseded(progress: RunProgress, last_arrival: int) -> bool:
    """Whether a commit has come since the check was sent, which has sent its own."""
    return progress.last_arrival > last_arrival


def _object(body: str) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a message of the quiet queue is not JSON: {body[:200]!r}; find out who sent it") from error
    if not isinstance(given, dict):
        raise InputError(f"a message of the quiet queue is not a JSON object: {body[:200]!r}; find out who sent it")
    return given
