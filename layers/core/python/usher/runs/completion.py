"""The end of a run: its cause in words, the lock given back, and whether the next run is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from usher.errors import InputError
from usher.store.run_lock import RunLock
from usher.store.runs import Runs, words

#: How Step Functions calls an execution's end → how a run's record does.
_STATUS = {"SUCCEEDED": "", "FAILED": "failed", "TIMED_OUT": "timed_out", "ABORTED": "aborted"}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. status: empty when that is on record already. state: the workflow's state that failed."""

    run_id: str
    status: str
    state: str = ""
    error: str = ""
    cause: str = ""
    reported: bool = False

    @classmethod
    def of_workflow(cls, event: Mapping[str, Any]) -> Ending:
        """From PrepareNext's input: {run_id, outcome: {status, state?, error?, cause?}}."""
        try:
            outcome = event["outcome"]
            state, error, cause = (str(outcome.get(name) or "") for name in ("state", "error", "cause"))
            return cls(str(event["run_id"]), str(outcome["status"]), state, error, cause)
        except (KeyError, TypeError, AttributeError) as fault:
            raise InputError(f"no outcome of a run ({type(fault).__name__}: {fault})") from fault

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> Ending:
        """From EventBridge's "Step Functions Execution Status Change"."""
        try:
            detail = event["detail"]
            return cls(
                str(detail["name"]),
                _STATUS[detail["status"]],
                error=str(detail.get("error") or ""),
                cause=str(detail.get("cause") or ""),
                reported=True,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"no end of an execution ({type(error).__name__}: {error})") from error

    @property
    def cause_in_words(self) -> str:
        """One line: the state, and what went wrong there."""
        if self.status == "aborted" and not self.cause:
            return "stopped by an operator, without a cause"
        if self.status == "timed_out":
            return "the workflow took longer than its time-out of a day"
        said = words(self.error, self.cause)
        return f"{self.state}: {said}" if self.state else said


def end_run(runs: Runs, lock: RunLock, ending: Ending, now: int) -> bool:
    """Record how a run ended and give its lock back; whether it held the lock. Safe to repeat."""
    record = runs.find(ending.run_id) or {}
    # The execution's event comes after the workflow's own word, which knows the state and the cause.
    told_already = ending.reported and record.get("status") not in (None, "running") and "ended_at" in record
    if ending.status and not told_already:
        fields: dict[str, Any] = {"status": ending.status, "ended_at": now}
        if ending.status in ("failed", "timed_out", "aborted"):
            fields["cause"] = ending.cause_in_words
        runs.record(ending.run_id, **fields)
    return lock.release(ending.run_id)
