"""Runs as Step Functions and the state table know them: executions, records, states and how long each took."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cli.errors import CommandError
from cli.target import Target


@dataclass(frozen=True, slots=True)
class Run:
    """One run. record: its item in the state table, empty when it never came to that. ended_at: None while it runs."""

    run_id: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    arn: str
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """How it stands, in a word: a refusal by the gate is on record, the execution itself succeeded."""
        recorded = str(self.record.get("status", ""))
        running = self.status == "RUNNING"
        return "running" if running else recorded if recorded not in ("", "running") else self.status.lower()

    def seconds(self, now: datetime) -> float:
        """How long it took, or has taken so far."""
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
    """How many executions of a workflow there have been, as far as they are still listed."""
    listing = target.client("stepfunctions").get_paginator("list_executions")
    return sum(len(page["executions"]) for page in listing.paginate(stateMachineArn=workflow))


def find(target: Target, run_id: str) -> Run:
    """A run by its id, or by the beginning of one; `last` is the newest. CommandError for none, or several."""
    if run_id == "last":
        runs = newest(target, 1)
        if not runs:
            raise CommandError("there has been no run yet: data starts one, or `usher runs start`")
        return runs[0]
    found = [run for run in newest(target, 1000) if run.run_id.startswith(run_id)]
    exact = [run for run in found if run.run_id == run_id]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise CommandError(f"there is no run {run_id}: `usher runs` lists them")
    raise CommandError(f"{run_id} is the beginning of {len(found)} runs: {', '.join(run.run_id for run in found[:5])}")


def states(target: Target, run: Run) -> list[State]:
    """The states that a run went through, in the order of their start."""
    pages = target.client("stepfunctions").get_paginator("get_execution_history")
    events = [event for page in pages.paginate(executionArn=run.arn) for event in page["events"]]
    return _states(sorted(events, key=lambda event: event["id"]))


def _states(events: Sequence[Mapping[str, Any]]) -> list[State]:
    """Each entered state with the event that left it; a branch of a Map has a chain of its own, by previousEventId."""
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
    """The end of a state that nothing left: it runs, it is a Fail state, or it ended with its branch or the run."""
    if entered["type"] == "FailStateEntered":
        return entered["timestamp"], "failed"
    if not str(last["type"]).startswith("Execution"):
        return None, "running"
    return last["timestamp"], "failed" if last.get("previousEventId") == entered["id"] else "stopped"


def _entry(exited: Mapping[str, Any], by_id: Mapping[int, Mapping[str, Any]]) -> int:
    """The id of the event that entered the state that `exited` left; 0 when the history does not say."""
    name = exited["stateExitedEventDetails"]["name"]
    step: Mapping[str, Any] | None = exited
    while step is not None and step.get("stateEnteredEventDetails", {}).get("name") != name:
        step = by_id.get(step.get("previousEventId", 0))
    return int(step["id"]) if step is not None else 0


def _is_failure(event: Mapping[str, Any]) -> bool:
    return str(event["type"]).endswith(("Failed", "TimedOut", "Aborted"))


def payload(target: Target, run: Run, state: str) -> Mapping[str, Any] | None:
    """What a state of a run gave its Lambda function, the last time that it did; None when it never came to that."""
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
        raise CommandError(f"stack {target.stack_name} has no output TrainWorkflowArn: deploy this version's template")
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


def _records(target: Target, run_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """The runs' records by id."""
    from usher.store.runs import read_runs  # noqa: PLC0415 - only when a command runs

    dynamodb: Any = target.session.resource("dynamodb", endpoint_url=target.endpoint, config=target.config)
    return read_runs(dynamodb, target.resources.state_table, run_ids)
