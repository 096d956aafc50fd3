"""A run's record, and the message of its failure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.unit.state_table import STATE_TABLE
from usher.errors import InputError
from usher.runs.completion import RunOutcome, complete_run, failure_message
from usher.store.codec import loaded, stored
from usher.store.run_lock import RunLock
from usher.store.runs import Runs

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("error", "cause", "line"),
    [
        ("", "", "no cause was given"),
        ("States.Timeout", "", "States.Timeout: no cause was given"),
        ("OverBudget", '{"errorMessage": "run r1-1 would cost 9 USD"}', "OverBudget: run r1-1 would cost 9 USD"),
        (
            "States.TaskFailed",
            '{"TrainingJobName": "r1-1-fm", "TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no row"}',
            "r1-1-fm failed: AlgorithmError: no row",
        ),
        (
            "States.TaskFailed",
            '{"ProcessingJobName": "p", "ProcessingJobStatus": "Stopped"}',
            "p stopped: no reason was given",
        ),
        (
            "States.TaskFailed",
            '{"HyperParameterTuningJobName": "h", "HyperParameterTuningJobStatus": "Failed", "FailureReason": "all"}',
            "h failed: all",
        ),
        ("E", "two\nlines\t here", "E: two lines here"),
        ("E", '{"cut": "of', 'E: {"cut": "of'),
        ("E", "[1, 2]", "E: [1, 2]"),
        ("E", "[" * 100_000, "E: " + "[" * 1496 + "…"),
    ],
)
def test_a_cause_is_one_line_that_an_operator_can_act_on(error: str, cause: str, line: str) -> None:
    assert failure_message(error, cause) == line


def test_a_number_that_is_not_finite_cannot_be_stored() -> None:
    with pytest.raises(ValueError, match="nan cannot be stored"):
        stored({"a": [float("nan")]})


def test_numbers_come_back_as_they_went() -> None:
    value = {"i": 2**62 + 1, "f": 0.1, "none": None, "yes": True, "list": [1, 2.5, {"x": "y"}]}
    assert loaded(stored(value)) == value


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.resource("dynamodb", region_name="eu-west-1").create_table(**STATE_TABLE)


def outcome(**fields: str) -> dict[str, Any]:
    return {"run_id": "r1-1", "outcome": fields}


def event(status: str, error: str | None = None, cause: str | None = None) -> dict[str, Any]:
    return {"detail": {"name": "r1-1", "status": status, "error": error, "cause": cause}}


@pytest.mark.parametrize("given", [{}, {"run_id": "r"}, {"run_id": "r", "outcome": {}}, {"run_id": "r", "outcome": 3}])
def test_a_malformed_outcome_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        RunOutcome.of_workflow(given)


@pytest.mark.parametrize("given", [{}, {"detail": {}}, {"detail": {"name": "r", "status": "RUNNING"}}, {"detail": 3}])
def test_an_event_that_is_not_an_end_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        RunOutcome.of_event(given)


@pytest.mark.parametrize(
    ("ended", "status", "cause"),
    [
        (
            RunOutcome.of_workflow(outcome(status="failed", state="Train", error="E", cause='{"errorMessage": "why"}')),
            "failed",
            "Train: E: why",
        ),
        (RunOutcome.of_event(event("FAILED", "States.Runtime", "bad")), "failed", "States.Runtime: bad"),
        (RunOutcome.of_event(event("TIMED_OUT", "States.Timeout")), "timed_out", "the workflow took longer than"),
        (RunOutcome.of_event(event("ABORTED")), "aborted", "stopped by an operator, without a cause"),
        (RunOutcome.of_event(event("ABORTED", None, "too dear")), "aborted", "too dear"),
    ],
)
def test_every_end_is_recorded_and_releases_the_lock(table: Any, ended: RunOutcome, status: str, cause: str) -> None:
    runs, lock = Runs(table), RunLock(table)
    lock.take("r1-1", NOW, "arn:1")
    runs.record("r1-1", status="running")
    assert complete_run(runs, lock, ended, NOW)
    record = runs.find("r1-1") or {}
    assert (record["status"], record["ended_at"]) == (status, NOW)
    assert cause in record["cause"]
    assert lock.holder(NOW) is None


def test_a_run_that_ends_does_not_release_another_runs_lock(table: Any) -> None:
    runs, lock = Runs(table), RunLock(table)
    lock.take("r2-1", NOW, "arn:2")
    assert not complete_run(runs, lock, RunOutcome.of_event(event("FAILED")), NOW)
    holder = lock.holder(NOW)
    assert holder
    assert holder.run_id == "r2-1"


def test_the_event_of_an_execution_does_not_overwrite_the_workflows_report(table: Any) -> None:
    runs, lock = Runs(table), RunLock(table)
    complete_run(
        runs, lock, RunOutcome.of_workflow(outcome(status="failed", state="Train", error="E", cause="why")), NOW
    )
    complete_run(runs, lock, RunOutcome.of_event(event("FAILED", "E", "Train: why")), NOW + 5)
    complete_run(runs, lock, RunOutcome.of_event(event("SUCCEEDED")), NOW + 6)
    record = runs.find("r1-1") or {}
    assert (record["cause"], record["ended_at"]) == ("Train: E: why", NOW)


def test_a_raw_failure_is_replaced_by_the_message_in_the_event(table: Any) -> None:
    runs, lock = Runs(table), RunLock(table)
    runs.record("r1-1", status="failed", cause="raw")  # RecordFailure wrote, prepare_next never ran
    complete_run(runs, lock, RunOutcome.of_event(event("FAILED", "E", json.dumps({"errorMessage": "why"}))), NOW)
    assert (runs.find("r1-1") or {})["cause"] == "E: why"


def test_a_refused_run_has_no_cause(table: Any) -> None:
    runs = Runs(table)
    complete_run(runs, RunLock(table), RunOutcome.of_workflow(outcome(status="refused")), NOW)
    assert "cause" not in (runs.find("r1-1") or {})


def test_the_next_attempt_is_the_first_that_no_run_has_used(table: Any) -> None:
    runs = Runs(table)
    first = runs.next_id({"ratings": 1})
    assert first
    assert first.endswith("-1")
    runs.record(first, status="failed")
    second = runs.next_id({"ratings": 1})
    assert second == first[:-1] + "2"
    assert runs.next_id({"ratings": 2}) != second
    assert runs.next_id({"ratings": 1}, attempts=1) is None
