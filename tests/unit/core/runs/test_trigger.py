"""When a run starts, and that it starts once; the lock and the progress that the decision reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.unit.state_table import STATE_TABLE
from usher.errors import InputError, RunInProgress
from usher.runs.trigger import (
    DELAY_MAX_SECONDS,
    RunStarter,
    RunTrigger,
    TriggerRule,
    check_later,
    decide,
    is_superseded,
)
from usher.schema import ids
from usher.store import keys
from usher.store.codec import loaded
from usher.store.router import Router, write_router
from usher.store.run_lock import RUNNING_SECONDS, STARTING_SECONDS, RunLock
from usher.store.run_progress import RunProgress, take_rows
from usher.store.runs import Runs

NOW = 1_800_000_000
RULE = TriggerRule(min_new_rows=100, quiet_seconds=60)
SNAPSHOTS = {"ratings": 2**62 + 1, "items": 7}
WORKFLOW = "arn:aws:states:eu-west-1:123456789012:stateMachine:train"


def progress(rows: int = 100, arrived: int = NOW - 60, **snapshots: int) -> RunProgress:
    return RunProgress(snapshots or SNAPSHOTS, rows, arrived)


@pytest.mark.parametrize(
    ("given", "running", "experiment", "words"),
    [
        (progress(rows=99), "", "", "99 new rows: a run starts at 100"),
        (progress(ratings=1), "", "", "no items yet"),
        (progress(items=1), "", "", "no ratings and no events yet"),
        (progress(), "r1-1", "", "run r1-1 is in progress"),
        (progress(), "", "xr1-1", "experiment xr1-1 is open"),
    ],
)
def test_a_run_is_not_due_while_a_condition_is_missing(
    given: RunProgress, running: str, experiment: str, words: str
) -> None:
    answer = decide(given, RULE, running, experiment, NOW)
    assert (answer.due, answer.wait_seconds) == (False, 0)
    assert words in answer.reason


@pytest.mark.parametrize(("arrived", "left"), [(NOW, 60), (NOW - 1, 59), (NOW - 59, 1), (NOW + 5, 65)])
def test_while_only_the_quiet_period_has_to_end_the_decision_says_for_how_long(arrived: int, left: int) -> None:
    answer = decide(progress(arrived=arrived), RULE, "", "", NOW)
    assert (answer.due, answer.wait_seconds) == (False, left)


@pytest.mark.parametrize("given", [progress(), progress(events=1, items=1)])
def test_a_run_is_due_when_every_condition_holds_with_ratings_or_events(given: RunProgress) -> None:
    assert decide(given, RULE, "", "", NOW).due


def test_a_check_that_a_newer_commit_has_superseded_is_dropped() -> None:
    assert is_superseded(progress(arrived=11), 10)
    assert not is_superseded(progress(arrived=10), 10)


class Aws:
    """A state table, a workflow that waits, and a queue."""

    def __init__(self) -> None:
        dynamodb = boto3.resource("dynamodb")
        self.table: Any = dynamodb.create_table(**STATE_TABLE)
        self.states = boto3.client("stepfunctions")
        definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 99999, "End": True}}})
        role = "arn:aws:iam::123456789012:role/r"
        self.states.create_state_machine(name="train", definition=definition, roleArn=role)
        self.sqs = boto3.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="quiet")["QueueUrl"]
        self.starter = RunStarter(self.table, self.states, WORKFLOW, RULE)

    def progress(self, rows: int = 100, arrived: int = NOW - 60, snapshots: Any = None) -> None:
        item = {"snapshots": snapshots or SNAPSHOTS, "rows_since_run": rows, "last_arrival": arrived, "counted": {}}
        self.table.put_item(Item=keys.RUN_PROGRESS.item() | item)

    @property
    def executions(self) -> list[str]:
        return [one["name"] for one in self.states.list_executions(stateMachineArn=WORKFLOW)["executions"]]

    def messages(self) -> list[Any]:
        answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """moto; an execution stays RUNNING, whether its Step Functions interprets or not."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield Aws()


def test_nothing_starts_before_the_first_commit(aws: Aws) -> None:
    assert not aws.starter.start_if_due(NOW).due
    assert aws.executions == []


def test_a_due_run_starts_once_however_many_checks_there_are(aws: Aws) -> None:
    aws.progress()
    other = RunStarter(aws.table, aws.states, WORKFLOW, RULE)
    assert aws.starter.start_if_due(NOW).due
    other.start_if_due(NOW + 1)
    aws.starter.start_if_due(NOW + 2)
    assert aws.executions == [ids.run_id(SNAPSHOTS, 1)]


def test_snapshot_ids_reach_the_workflow_without_loss_of_digits(aws: Aws) -> None:
    aws.progress()
    aws.starter.start_if_due(NOW)
    arn = WORKFLOW.replace("stateMachine", "execution") + f":{aws.executions[0]}"
    given = json.loads(aws.states.describe_execution(executionArn=arn)["input"])
    assert given == {
        "run_id": aws.executions[0],
        "snapshots": {"items": "7", "ratings": str(2**62 + 1)},
        "rows": 100,
    }


def test_a_start_that_fails_releases_the_lock(aws: Aws) -> None:
    aws.progress()
    missing = RunStarter(aws.table, aws.states, WORKFLOW + "-none", RULE)
    with pytest.raises(ClientError):
        missing.start_if_due(NOW)
    assert RunLock(aws.table).holder(NOW) is None
    assert aws.starter.start_if_due(NOW).due


def test_a_start_that_crashed_is_repeated_by_the_next_check(aws: Aws) -> None:
    aws.progress()
    RunLock(aws.table).take(ids.run_id(SNAPSHOTS, 1), NOW - 5)  # the lock was taken, the execution never started
    assert aws.starter.start_if_due(NOW).due
    assert aws.executions == [ids.run_id(SNAPSHOTS, 1)]


def test_a_run_on_other_data_waits_for_a_lease_without_execution_to_expire(aws: Aws) -> None:
    aws.progress()
    RunLock(aws.table).take("rother-1", NOW)
    assert not aws.starter.start_if_due(NOW + STARTING_SECONDS - 1).due
    assert aws.starter.start_if_due(NOW + STARTING_SECONDS).due


def test_nothing_starts_while_another_run_is_in_progress(aws: Aws) -> None:
    aws.progress()
    RunLock(aws.table).take("rother-1", NOW, "arn:execution")
    answer = aws.starter.start_if_due(NOW + 1)
    assert (answer.due, aws.executions) == (False, [])
    assert "rother-1" in answer.reason


def test_nothing_starts_while_an_experiment_is_open(aws: Aws) -> None:
    aws.progress()
    write_router(aws.table, Router(1, NOW, "testing", "xr1-1", "A", {"A": 0.9, "B": 0.1}, {"A": "a", "B": "b"}))
    assert "xr1-1" in aws.starter.start_if_due(NOW).reason
    assert aws.executions == []


def test_the_same_data_is_tried_three_times(aws: Aws) -> None:
    aws.progress()
    for attempt in (1, 2, 3):
        assert aws.starter.start_if_due(NOW).due
        run_id = ids.run_id(SNAPSHOTS, attempt)
        assert aws.executions[0] == run_id
        Runs(aws.table).record(run_id, status="failed")
        RunLock(aws.table).release(run_id)
    assert "3 runs on the same data did not succeed" in aws.starter.start_if_due(NOW).reason
    assert len(aws.executions) == 3


def test_an_execution_that_ended_before_its_first_state_is_followed_by_another_attempt(aws: Aws) -> None:
    aws.progress()
    aws.starter.start_if_due(NOW)
    arn = WORKFLOW.replace("stateMachine", "execution") + f":{aws.executions[0]}"
    aws.states.stop_execution(executionArn=arn)
    answer = aws.starter.start_if_due(NOW + 10)
    assert (answer.due, answer.wait_seconds) == (False, 1)
    assert aws.starter.start_if_due(NOW + 11).due
    assert sorted(aws.executions) == [ids.run_id(SNAPSHOTS, 1), ids.run_id(SNAPSHOTS, 2)]


def test_rows_are_taken_once_and_rows_that_arrive_meanwhile_stay(aws: Aws) -> None:
    aws.progress(rows=150)
    for _ in range(2):
        take_rows(aws.table, "r1-1", 100)
    assert RunProgress.read(aws.table).rows_since_run == 50
    assert loaded(aws.table.get_item(Key=keys.run("r1-1").item())["Item"])["rows_taken"] == 100


def test_a_check_that_only_waits_for_the_quiet_period_is_repeated_by_a_message(aws: Aws) -> None:
    aws.progress(arrived=NOW - 59)
    trigger = RunTrigger(aws.table, aws.starter, aws.sqs, aws.queue)
    assert not trigger.check(NOW).due
    attributes = aws.sqs.get_queue_attributes(
        QueueUrl=aws.queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )["Attributes"]
    assert attributes == {"ApproximateNumberOfMessagesDelayed": "1"}


def test_a_superseded_message_checks_nothing(aws: Aws) -> None:
    aws.progress()
    trigger = RunTrigger(aws.table, aws.starter, aws.sqs, aws.queue)
    trigger.message(json.dumps({"last_arrival": NOW - 61}), NOW)
    assert aws.executions == []
    trigger.message(json.dumps({"last_arrival": NOW - 60}), NOW)
    assert len(aws.executions) == 1


@pytest.mark.parametrize(
    "body", ["", "{}", "[" * 100_000, '{"detail": {}}', "[]", '{"last_arrival": null}', "null", '{"last_arrival": "x"}']
)
def test_an_unknown_message_goes_to_the_dead_letter_queue(aws: Aws, body: str) -> None:
    trigger = RunTrigger(aws.table, aws.starter, aws.sqs, aws.queue)
    with pytest.raises(InputError):
        trigger.message(body, NOW)


def test_the_end_of_an_execution_releases_the_lock_and_starts_the_next_run(aws: Aws) -> None:
    aws.progress()
    RunLock(aws.table).take("rother-1", NOW, "arn:execution")
    trigger = RunTrigger(aws.table, aws.starter, aws.sqs, aws.queue)
    answer = trigger.message(json.dumps({"detail": {"name": "rother-1", "status": "ABORTED"}}), NOW)
    assert answer
    assert answer.due
    assert (Runs(aws.table).find("rother-1") or {})["status"] == "aborted"


def test_a_long_quiet_period_is_waited_for_in_pieces() -> None:
    class Queue:
        def send_message(self, **message: Any) -> None:
            self.message = message

    queue: Any = Queue()
    check_later(queue, "url", 5, 3600)
    assert queue.message["DelaySeconds"] == DELAY_MAX_SECONDS == 900
    check_later(queue, "url", 5, -3)
    assert queue.message["DelaySeconds"] == 0


def test_the_lock_is_held_by_one_run_until_it_is_released_or_expires(aws: Aws) -> None:
    lock = RunLock(aws.table)
    lock.take("r1-1", NOW)
    with pytest.raises(RunInProgress, match="run r2-1 cannot start: run r1-1 holds the lock for at most 900 s more"):
        lock.take("r2-1", NOW)
    lock.take("r1-1", NOW, "arn:1")
    lock.take("r1-1", NOW, "arn:1")  # the state was retried
    with pytest.raises(RunInProgress):
        lock.take("r1-1", NOW, "arn:2")  # another execution of the same run
    assert not lock.release("r2-1")
    with pytest.raises(RunInProgress):
        lock.take("r2-1", NOW + RUNNING_SECONDS - 1)
    lock.take("r2-1", NOW + RUNNING_SECONDS)
    assert not lock.release("r1-1")
    assert lock.release("r2-1")
    assert not lock.release("r2-1")
    assert lock.holder(NOW) is None
