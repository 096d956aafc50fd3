"""Training runs: find and start them, read their executions from Step Functions and their state table records."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cli.errors import CommandError
from cli.target import Target


@dataclass(frozen=True, slots=True)
class Run:
    """One run. record: its item in the state table, empty if it wrote none. ended_at: None while it runs."""

    run_id: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    arn: str
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def overall_status(self) -> str:
        """The recorded status (a run that the gate refused has a successful execution), else the execution's."""
        recorded = str(self.record.get("status", ""))
        running = self.status == "RUNNING"
        return "running" if running else recorded if recorded not in ("", "running") else self.status.lower()

    def seconds(self, now: datetime) -> float:
        """Duration, up to `now` while it runs."""
        return ((self.ended_at or now) - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class State:
    """One visit to a state. outcome: done, failed, running, or stopped (with its branch or the run)."""

    name: str
    started_at: datetime
    seconds: float | None
    outcome: str


def newest(target: Target, limit: int) -> list[Run]:
    """The newest runs, newest first, with their records."""
    listing = target.client("stepfunctions").get_paginator("list_executions")
    found = listing.paginate(stateMachineArn=workflow_arn(target))
    executions = list(itertools.islice((one for page in found for one in page["executions"]), limit))
    records = _records(target, [one["name"] for one in executions])
    return [_run(one, records.get(one["name"], {})) for one in executions]


def count(target: Target, workflow: str) -> int:
    """The number of executions of a workflow that Step Functions still lists."""
    listing = target.client("stepfunctions").get_paginator("list_executions")
    return sum(len(page["executions"]) for page in listing.paginate(stateMachineArn=workflow))


def find(target: Target, run_id: str) -> Run:
    """The run whose id begins with `run_id`; `last` is the newest. CommandError unless exactly one matches."""
    if run_id == "last":
        runs = newest(target, 1)
        if not runs:
            raise CommandError("no run has started yet: upload data, or start one with `usher runs start`")
        return runs[0]
    found = [run for run in newest(target, 1000) if run.run_id.startswith(run_id)]
    exact = [run for run in found if run.run_id == run_id]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise CommandError(f"run {run_id} not found: `usher runs` lists the runs")
    raise CommandError(
        f"{run_id} matches {len(found)} runs, give more of the id: {', '.join(run.run_id for run in found[:5])}"
    )


def states(target: Target, run: Run) -> list[State]:
    """The states that a run visited, in the order of their start."""
    pages = target.client("stepfunctions").get_paginator("get_execution_history")
    events = [event for page in pages.paginate(executionArn=run.arn) for event in page["events"]]
    return _states(sorted(events, key=lambda event: event["id"]))


def _states(events: Sequence[Mapping[str, Any]]) -> list[State]:
    """Match each entered state with its exit event. Branches of a Map are chained by previousEventId."""
    by_id = {event["id"]: event for event in events}
    left = {}
    for event in events:
        if "stateExitedEventDetails" in event:
            failed = _is_failure(by_id.get(event.get("previousEventId", 0), event))
            left[_entry(event, by_id)] = (event["timestamp"], "failed" if failed else "done")
    last = events[-1] if events else {}
    entered = [event for event in events if "stateEnteredEventDetails" in event]
    return [_state(event, left.get(event["id"]) or _unfinished(event, last)) for event in entered]


def _state(entered: Mapping[str, Any], end: tuple[datetime | None, str]) -> State:
    seconds = None if end[0] is None else (end[0] - entered["timestamp"]).total_seconds()
    return State(entered["stateEnteredEventDetails"]["name"], entered["timestamp"], seconds, end[1])


def _unfinished(entered: Mapping[str, Any], last: Mapping[str, Any]) -> tuple[datetime | None, str]:
    """The end of a state without an exit event: it runs, is a Fail state, or stopped with its branch or run."""
    if entered["type"] == "FailStateEntered":
        return entered["timestamp"], "failed"
    if not str(last["type"]).startswith("Execution"):
        return None, "running"
    return last["timestamp"], "failed" if last.get("previousEventId") == entered["id"] else "stopped"


def _entry(exited: Mapping[str, Any], by_id: Mapping[int, Mapping[str, Any]]) -> int:
    """The id of the event that entered the state which `exited` left; 0 when the history has none."""
    name = exited["stateExitedEventDetails"]["name"]
    step: Mapping[str, Any] | None = exited
    while step is not None and step.get("stateEnteredEventDetails", {}).get("name") != name:
        step = by_id.get(step.get("previousEventId", 0))
    return int(step["id"]) if step is not None else 0


def _is_failure(event: Mapping[str, Any]) -> bool:
    return str(event["type"]).endswith(("Failed", "TimedOut", "Aborted"))


def payload(target: Target, run: Run, state: str) -> Mapping[str, Any] | None:
    """The payload of the last Lambda call that a state of a run made; None when it made none."""
    pages = target.client("stepfunctions").get_paginator("get_execution_history")
    found, inside = None, ""
    for page in pages.paginate(executionArn=run.arn):
        for event in page["events"]:
            inside = event.get("stateEnteredEventDetails", {}).get("name", inside)
            if inside == state and "taskScheduledEventDetails" in event:
                found = json.loads(event["taskScheduledEventDetails"]["parameters"]).get("Payload")
    return found


def workflow_arn(target: Target) -> str:
    """The ARN of train_and_deploy; CommandError when the stack has none."""
    if not target.resources.train_workflow_arn:
        raise CommandError(
            f"stack {target.stack_name} has no output TrainWorkflowArn: deploy the current template.yaml"
        )
    return target.resources.train_workflow_arn


def _run(execution: Mapping[str, Any], record: Mapping[str, Any]) -> Run:
    return Run(
        execution["name"],
        execution["status"],
        execution["startDate"],
        execution.get("stopDate"),
        execution["executionArn"],
        record,
    )


def _records(target: Target, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    from usher.store.runs import read_runs  # noqa: PLC0415 - only when a command runs

    return read_runs(target.dynamodb(), target.resources.state_table, run_ids)


#: The most runs on the same data, counting those that an operator starts.
ATTEMPTS = 99


def start(target: Target) -> str:
    """Start a run on the newest data and return its id; CommandError while a run or an experiment is open."""
    _nothing_is_open(target)
    run_id, snapshots, rows = next_run(target)
    given = json.dumps({"run_id": run_id, "snapshots": snapshots, "rows": rows})
    workflow = workflow_arn(target)
    target.client("stepfunctions").start_execution(stateMachineArn=workflow, name=run_id, input=given)
    return run_id


def next_run(target: Target) -> tuple[str, dict[str, str], int]:
    """The input of a run on the newest data: its id, the snapshot of each data set, the number of new rows."""
    from usher.store.run_progress import COUNTED_DATASETS, RunProgress  # noqa: PLC0415
    from usher.store.runs import Runs  # noqa: PLC0415 - only when a command runs

    table = target.state_table()
    progress = RunProgress.read(table)
    if not progress.snapshots.keys() & set(COUNTED_DATASETS):
        raise CommandError("the lake has no ratings or events yet: upload some with `usher upload`")
    run_id = Runs(table).next_id(progress.snapshots, ATTEMPTS)
    if run_id is None:
        raise CommandError(f"{ATTEMPTS} runs have used the newest data already: upload new data first")
    snapshots = {name: str(snapshot) for name, snapshot in sorted(progress.snapshots.items())}
    return run_id, snapshots, progress.rows_since_run


def _nothing_is_open(target: Target) -> None:
    """Check before the start what would fail the run at once."""
    from usher.store.router import read_router  # noqa: PLC0415
    from usher.store.run_lock import RunLock  # noqa: PLC0415 - only when a command runs

    table = target.state_table()
    holder = RunLock(table).holder(int(time.time()))
    if holder is not None:
        raise CommandError(f"run {holder.run_id} is in progress: `usher run {holder.run_id}` shows its progress")
    router = read_router(table)
    if router is not None and router.experiment_is_open:
        raise CommandError(
            f"experiment {router.experiment_id} is open: no run starts before it ends (`usher experiment`)"
        )
