"""When a run starts, and that it starts once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from usher.errors import InputError, RunInProgress
from usher.runs.trigger import (
    DELAY_MAX_SECONDS,
    Head,
    Rule,
    Starter,
    ask_when_quiet,
    decide,
    is_overtaken,
    take_rows,
)
from usher.runs.trigger_queue import Questions
from usher.schema import ids
from usher.store import keys
from usher.store.codec import loaded
from usher.store.router import Router, write_router
from usher.store.run_lock import RUNNING_SECONDS, STARTING_SECONDS, RunLock
from usher.store.runs import Runs

NOW = 1_800_000_000
RULE = Rule(min_new_rows=100, quiet_seconds=60)
SNAPSHOTS = {"ratings": 2**62 + 1, "items": 7}
WORKFLOW = "arn:aws:states:eu-west-1:123456789012:stateMachine:train"


def head(rows: int = 100, arrived: int = NOW - 60, **snapshots: int) -> Head:
    return Head(snapshots or SNAPSHOTS, rows, arrived)


@pytest.mark.parametrize(
    ("standing", "running", "experiment", "words"),
    [
        (head(rows=99), "", "", "99 new rows: a run starts from 100 on"),
        (head(ratings=1), "", "", "no items yet"),
        (head(items=1), "", "", "no ratings and no events yet"),
        (head(), "r1-1", "", "run r1-1 is under way"),
        (head(), "", "xr1-1", "experiment xr1-1 is open"),
    ],
)
def test_a_run_is_not_due_while_anything_is_lacking(standing: Head, running: str, experiment: str, words: str) -> None:
    answer = decide(standing, RULE, running, experiment, NOW)
    assert (answer.due, answer.wait_seconds) == (False, 0)
    assert words in answer.reason


@pytest.mark.parametrize(("arrived", "left"), [(NOW, 60), (NOW - 1, 59), (NOW - 59, 1), (NOW + 5, 65)])
def test_while_only_quiet_is_lacking_the_answer_says_when_to_ask_again(arrived: int, left: int) -> None:
    answer = decide(head(arrived=arrived), RULE, "", "", NOW)
    assert (answer.due, answer.wait_seconds) == (False, left)


@pytest.mark.parametrize("standing", [head(), head(events=1, items=1)])
def test_a_run_is_due_when_nothing_is_lacking_be_it_ratings_or_events(standing: Head) -> None:
    assert decide(standing, RULE, "", "", NOW).due


def test_a_question_that_a_newer_commit_has_overtaken_is_dropped() -> None:
    assert is_overtaken(head(arrived=11), 10)
    assert not is_overtaken(head(arrived=10), 10)


class Aws:
    """A state table, a workflow that waits, and a queue."""

    def __init__(self) -> None:
        dynamodb = boto3.resource("dynamodb")
        self.table: Any = dynamodb.create_table(
            TableName="state",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self.states = boto3.client("stepfunctions")
        definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 99999, "End": True}}})
        role = "arn:aws:iam::123456789012:role/r"
        self.states.create_state_machine(name="train", definition=definition, roleArn=role)
        self.sqs = boto3.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="quiet")["QueueUrl"]
        self.starter = Starter(self.table, self.states, WORKFLOW, RULE)

    def head(self, rows: int = 100, arrived: int = NOW - 60, snapshots: Any = None) -> None:
        item = {"snapshots": snapshots or SNAPSHOTS, "rows_since_run": rows, "last_arrival": arrived, "counted": {}}
        self.table.put_item(Item=keys.RUN_HEAD.item() | item)

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
    assert not aws.starter.ask(NOW).due
    assert aws.executions == []


def test_a_due_run_starts_once_however_often_and_by_whomever_it_is_asked(aws: Aws) -> None:
    aws.head()
    other = Starter(aws.table, aws.states, WORKFLOW, RULE)
    assert aws.starter.ask(NOW).due
    other.ask(NOW + 1)
    aws.starter.ask(NOW + 2)
    assert aws.executions == [ids.run_id(SNAPSHOTS, 1)]


def test_snapshot_ids_reach_the_workflow_digit_by_digit(aws: Aws) -> None:
    aws.head()
    aws.starter.ask(NOW)
    arn = WORKFLOW.replace("stateMachine", "execution") + f":{aws.executions[0]}"
    given = json.loads(aws.states.describe_execution(executionArn=arn)["input"])
    assert given == {
        "run_id": aws.executions[0],
        "snapshots": {"items": "7", "ratings": str(2**62 + 1)},
        "rows": 100,
    }


def test_a_start_that_fails_gives_the_lock_back(aws: Aws) -> None:
    aws.head()
    missing = Starter(aws.table, aws.states, WORKFLOW + "-none", RULE)
    with pytest.raises(ClientError):
        missing.ask(NOW)
    assert RunLock(aws.table).holder(NOW) is None
    assert aws.starter.ask(NOW).due


def test_a_start_that_somebody_died_in_is_made_good_by_the_next_question(aws: Aws) -> None:
    aws.head()
    RunLock(aws.table).take(ids.run_id(SNAPSHOTS, 1), NOW - 5)  # the lock was taken, the execution never started
    assert aws.starter.ask(NOW).due
    assert aws.executions == [ids.run_id(SNAPSHOTS, 1)]


def test_a_run_on_other_data_waits_for_a_lease_without_execution_to_lapse(aws: Aws) -> None:
    aws.head()
    RunLock(aws.table).take("rother-1", NOW)
    assert not aws.starter.ask(NOW + STARTING_SECONDS - 1).due
    assert aws.starter.ask(NOW + STARTING_SECONDS).due


def test_nothing_starts_while_another_run_is_under_way(aws: Aws) -> None:
    aws.head()
    RunLock(aws.table).take("rother-1", NOW, "arn:execution")
    answer = aws.starter.ask(NOW + 1)
    assert (answer.due, aws.executions) == (False, [])
    assert "rother-1" in answer.reason


def test_nothing_starts_while_an_experiment_is_open(aws: Aws) -> None:
    aws.head()
    write_router(aws.table, Router(1, NOW, "testing", "xr1-1", "A", {"A": 0.9, "B": 0.1}, {"A": "a", "B": "b"}))
    assert "xr1-1" in aws.starter.ask(NOW).reason
    assert aws.executions == []


def test_the_same_data_is_tried_three_times_and_not_for_ever(aws: Aws) -> None:
    aws.head()
    for attempt in (1, 2, 3):
        assert aws.starter.ask(NOW).due
        run_id = ids.run_id(SNAPSHOTS, attempt)
        assert aws.executions[0] == run_id
        Runs(aws.table).record(run_id, status="failed")
        RunLock(aws.table).release(run_id)
    assert "3 runs on the same data did not succeed" in aws.starter.ask(NOW).reason
    assert len(aws.executions) == 3


def test_an_execution_that_ended_before_its_first_state_is_followed_by_another_attempt(aws: Aws) -> None:
    aws.head()
    aws.starter.ask(NOW)
    arn = WORKFLOW.replace("stateMachine", "execution") + f":{aws.executions[0]}"
    aws.states.stop_execution(executionArn=arn)
    answer = aws.starter.ask(NOW + 10)
    assert (answer.due, answer.wait_seconds) == (False, 1)
    assert aws.starter.ask(NOW + 11).due
    assert sorted(aws.executions) == [ids.run_id(SNAPSHOTS, 1), ids.run_id(SNAPSHOTS, 2)]


def test_rows_are_taken_once_and_what_arrives_meanwhile_stays(aws: Aws) -> None:
    aws.head(rows=150)
    for _ in range(2):
        take_rows(aws.table, "r1-1", 100)
    assert Head.read(aws.table).rows_since_run == 50
    assert loaded(aws.table.get_item(Key=keys.run("r1-1").item())["Item"])["rows_taken"] == 100


def test_a_question_that_lacks_quiet_alone_is_asked_again_by_a_message(aws: Aws) -> None:
    aws.head(arrived=NOW - 59)
    questions = Questions(aws.table, aws.starter, aws.sqs, aws.queue)
    assert not questions.now(NOW).due
    attributes = aws.sqs.get_queue_attributes(
        QueueUrl=aws.queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )["Attributes"]
    assert attributes == {"ApproximateNumberOfMessagesDelayed": "1"}


def test_an_overtaken_message_asks_nothing(aws: Aws) -> None:
    aws.head()
    questions = Questions(aws.table, aws.starter, aws.sqs, aws.queue)
    questions.message(json.dumps({"last_arrival": NOW - 61}), NOW)
    assert aws.executions == []
    questions.message(json.dumps({"last_arrival": NOW - 60}), NOW)
    assert len(aws.executions) == 1


@pytest.mark.parametrize(
    "body", ["", "{}", "[" * 100_000, '{"detail": {}}', "[]", '{"last_arrival": null}', "null", '{"last_arrival": "x"}']
)
def test_a_message_that_is_no_question_goes_to_the_dead_letters(aws: Aws, body: str) -> None:
    questions = Questions(aws.table, aws.starter, aws.sqs, aws.queue)
    with pytest.raises(InputError):
        questions.message(body, NOW)


def test_an_executions_end_gives_the_lock_back_and_starts_the_next_run(aws: Aws) -> None:
    aws.head()
    RunLock(aws.table).take("rother-1", NOW, "arn:execution")
    questions = Questions(aws.table, aws.starter, aws.sqs, aws.queue)
    answer = questions.message(json.dumps({"detail": {"name": "rother-1", "status": "ABORTED"}}), NOW)
    assert answer
    assert answer.due
    assert (Runs(aws.table).find("rother-1") or {})["status"] == "aborted"


def test_a_long_quiet_is_waited_for_in_pieces() -> None:
    class Queue:
        def send_message(self, **message: Any) -> None:
            self.message = message

    queue: Any = Queue()
    ask_when_quiet(queue, "url", 5, 3600)
    assert queue.message["DelaySeconds"] == DELAY_MAX_SECONDS == 900
    ask_when_quiet(queue, "url", 5, -3)
    assert queue.message["DelaySeconds"] == 0


def test_the_lock_is_held_by_one_run_until_it_is_given_back_or_lapses(aws: Aws) -> None:
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
