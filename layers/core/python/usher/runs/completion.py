"""The end of a run: its status and cause are recorded, and its lock is released."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from usher.errors import InputError
from usher.store.run_lock import RunLock
from usher.store.runs import Runs

#: Step Functions' status of an execution → the status in a run's record; empty: the workflow has recorded it.
_STATUS = {"SUCCEEDED": "", "FAILED": "failed", "TIMED_OUT": "timed_out", "ABORTED": "aborted"}
_CAUSE_MAX = 1500


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended. status: empty when that is on record already. state: the workflow's state that failed.

    from_event: reported by EventBridge, which knows less than the workflow's own report.
    """

    run_id: str
    status: str
    state: str = ""
    error: str = ""
    cause: str = ""
    from_event: bool = False

    @classmethod
    def of_workflow(cls, event: Mapping[str, Any]) -> RunOutcome:
        """From PrepareNext's input: {run_id, outcome: {status, state?, error?, cause?}}."""
        try:
            outcome = event["outcome"]
            state, error, cause = (str(outcome.get(name) or "") for name in ("state", "error", "cause"))
            return cls(str(event["run_id"]), str(outcome["status"]), state, error, cause)
        except (KeyError, TypeError, AttributeError) as fault:
            raise InputError(
                f"the input has no run_id with an outcome ({type(fault).__name__}: {fault}): send "
                '{"run_id": …, "outcome": {"status": …}}, or {} to check whether a run is due'
            ) from fault

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> RunOutcome:
        """From EventBridge's "Step Functions Execution Status Change"."""
        try:
            detail = event["detail"]
            return cls(
                str(detail["name"]),
                _STATUS[detail["status"]],
                error=str(detail.get("error") or ""),
                cause=str(detail.get("cause") or ""),
                from_event=True,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"the event does not say how an execution ended ({type(error).__name__}: {error}): check the rule "
                "that sends it"
            ) from error

    @property
    def summary(self) -> str:
        """One line: the state, and what went wrong there."""
        if self.status == "aborted" and not self.cause:
            return "stopped by an operator, without a cause"
        if self.status == "timed_out":
            return "the workflow took longer than its time-out of a day"
        message = failure_message(self.error, self.cause)
        return f"{self.state}: {message}" if self.state else message


def complete_run(runs: Runs, lock: RunLock, outcome: RunOutcome, now: int) -> bool:
    """Record how a run ended and release its lock; whether it held the lock. Idempotent."""
    record = runs.find(outcome.run_id) or {}
    # The execution's event comes after the workflow's own report, which knows the state and the cause.
    recorded = outcome.from_event and record.get("status") not in (None, "running") and "ended_at" in record
    if outcome.status and not recorded:
        fields: dict[str, Any] = {"status": outcome.status, "ended_at": now}
        if outcome.status in ("failed", "timed_out", "aborted"):
            fields["cause"] = outcome.summary
        runs.record(outcome.run_id, **fields)
    return lock.release(outcome.run_id)


def failure_message(error: str, cause: str) -> str:
    """A workflow error on one line. cause: of a job or a Lambda function it is JSON, else plain text."""
    line = " ".join((_cause_text(cause).strip() or "no cause was given").split())
    named = line if not error or error.startswith("States.TaskFailed") else f"{error}: {line}"
    return named if len(named) <= _CAUSE_MAX else named[: _CAUSE_MAX - 1] + "…"


def _cause_text(cause: str) -> str:
    """The message in a job's description or a function's error; else the cause as it is."""
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
    # A processing job's FailureReason points to its logs; what its program printed is the exit message.
    reason = body.get("ExitMessage") or body.get("FailureReason")
    return f"{name} {status.lower() or 'failed'}: {reason or 'no reason was given'}" if status or reason else cause


_JOB_NAMES = ("TrainingJobName", "ProcessingJobName", "HyperParameterTuningJobName", "EndpointName")
_JOB_STATUSES = ("TrainingJobStatus", "ProcessingJobStatus", "HyperParameterTuningJobStatus", "EndpointStatus")
