"""Executions in the twin: how they start, wait, time out, are stopped, and their events."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from twin.stepfunctions import flow

Client = Callable[[str], Any]
Function = Callable[..., str]
Eventually = Callable[..., Any]
INVOKE = "arn:aws:states:::lambda:invoke"
SLEEPER = "import time\ndef handler(event, context):\n    time.sleep(event['seconds'])\n    raise ValueError('late')"
FAILING = "def handler(event, context):\n    raise ValueError('no')"


def _machine(**states: Any) -> dict[str, Any]:
    return {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}


def _task(function: str, payload: Any = None, **fields: Any) -> dict[str, Any]:
    arguments = {"FunctionName": function, "Payload": payload or {}}
    return {"Type": "Task", "Resource": INVOKE, "Arguments": arguments, "End": True, **fields}


def _types(found: dict[str, Any]) -> list[str]:
    return [event["type"] for event in found["history"]]


@pytest.fixture
def small_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits shrink with the clock from the first second on."""
    monkeypatch.setattr(flow, "LIMIT_FLOOR_SECONDS", 0.1)


def test_an_execution_that_takes_too_long_is_timed_out(execute: Any, small_floor: None) -> None:
    machine = _machine(A={"Type": "Wait", "Seconds": 600, "End": True}) | {"TimeoutSeconds": 30}
    found = execute(machine)
    assert (found["status"], found["error"]) == ("TIMED_OUT", "States.Timeout")
    assert found["stopDate"] > found["startDate"]
    assert _types(found)[-1] == "ExecutionTimedOut"


def test_limits_shrink_with_the_twins_clock(execute: Any, function: Function, small_floor: None) -> None:
    machine = _machine(A=_task(function(SLEEPER), {"seconds": 20})) | {"TimeoutSeconds": 60}
    assert execute(machine, None)["status"] == "TIMED_OUT"


def test_a_limit_on_real_work_never_shrinks_below_a_minute(server: Any) -> None:
    assert [flow.limit_seconds(seconds) for seconds in (5, 60, 900, 7200)] == [5, 60, 60, 120]


def test_a_task_that_takes_too_long_is_a_states_timeout_at_the_twins_pace(
    execute: Any, function: Function, small_floor: None
) -> None:
    caught = {"ErrorEquals": ["States.Timeout"], "Next": "B", "Output": "{% $states.errorOutput.Error %}"}
    machine = _machine(
        A=_task(function(SLEEPER), {"seconds": 20}, TimeoutSeconds=60, Catch=[caught]), B={"Type": "Pass", "End": True}
    )
    found = execute(machine)
    assert found["output"] == "States.Timeout"
    assert "TaskTimedOut" in _types(found)


def test_states_task_failed_does_not_catch_a_time_out(execute: Any, function: Function, small_floor: None) -> None:
    caught = {"ErrorEquals": ["States.TaskFailed"], "Next": "B"}
    machine = _machine(
        A=_task(function(SLEEPER), {"seconds": 20}, TimeoutSeconds=60, Catch=[caught]), B={"Type": "Pass", "End": True}
    )
    assert execute(machine)["error"] == "States.Timeout"


def test_a_stopped_execution_is_aborted_at_once_with_its_cause(execute: Any, client: Client) -> None:
    arn = execute.start(execute.create(_machine(A={"Type": "Wait", "Seconds": 6000, "End": True})))
    client("stepfunctions").stop_execution(executionArn=arn, error="Operator", cause="enough")
    found = client("stepfunctions").describe_execution(executionArn=arn)
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "Operator", "enough")
    assert found["stopDate"] >= found["startDate"]


def test_a_stopped_execution_stays_aborted_when_its_task_fails(
    execute: Any, client: Client, function: Function, eventually: Eventually
) -> None:
    arn = execute.start(execute.create(_machine(A=_task(function(SLEEPER), {"seconds": 1}))))
    eventually(lambda: "TaskStarted" in _types(_seen(client, arn)))
    client("stepfunctions").stop_execution(executionArn=arn)
    eventually(lambda: _types(_seen(client, arn))[-1] == "ExecutionAborted")
    assert "ExecutionFailed" not in _types(_seen(client, arn))


def test_a_stopped_execution_visits_no_further_state(
    execute: Any, client: Client, function: Function, eventually: Eventually
) -> None:
    caught = {"ErrorEquals": ["States.ALL"], "Next": "B"}
    again = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 5}
    machine = _machine(
        A=_task(function(SLEEPER), {"seconds": 1}, Retry=[again], Catch=[caught]), B={"Type": "Pass", "End": True}
    )
    arn = execute.start(execute.create(machine))
    eventually(lambda: "TaskStarted" in _types(_seen(client, arn)))
    client("stepfunctions").stop_execution(executionArn=arn)
    eventually(lambda: _types(_seen(client, arn))[-1] == "ExecutionAborted")
    wanted = ["ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "ExecutionAborted"]
    assert _types(_seen(client, arn)) == wanted


def test_stopping_an_execution_that_has_ended_changes_nothing(execute: Any, client: Client) -> None:
    found = execute(_machine(A={"Type": "Pass", "End": True}))
    client("stepfunctions").stop_execution(executionArn=found["executionArn"])
    assert execute.finished(found["executionArn"])["status"] == "SUCCEEDED"


def test_stopping_an_unknown_execution_is_refused(client: Client) -> None:
    arn = "arn:aws:states:eu-west-1:123456789012:execution:none:none"
    with pytest.raises(client("stepfunctions").exceptions.ExecutionDoesNotExist):
        client("stepfunctions").stop_execution(executionArn=arn)


def test_states_all_does_not_catch_a_runtime_error(execute: Any) -> None:
    machine = _machine(
        A={
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage",
            "Arguments": {"QueueUrl": "x"},
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}],
            "End": True,
        },
        B={"Type": "Pass", "End": True},
    )
    found = execute(machine)
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")
    assert "MessageBody" in found["cause"]


def test_a_back_off_shrinks_with_the_twins_clock(execute: Any, function: Function) -> None:
    again = {"ErrorEquals": ["ValueError"], "IntervalSeconds": 30, "MaxAttempts": 2, "BackoffRate": 2}
    found = execute(_machine(A=_task(function(FAILING), Retry=[again])))
    assert (found["status"], found["error"]) == ("FAILED", "ValueError")
    assert _types(found).count("TaskFailed") == 3


def test_a_wait_state_shrinks_with_the_twins_clock(execute: Any) -> None:
    found = execute(_machine(A={"Type": "Wait", "Seconds": 60, "End": True}))
    assert 0.9 < (found["stopDate"] - found["startDate"]).total_seconds() < 50
    assert execute(_machine(A={"Type": "Wait", "Seconds": 1, "End": True}))["status"] == "SUCCEEDED"


def test_a_fail_state_passes_a_states_error_on(execute: Any) -> None:
    found = execute(_machine(A={"Type": "Fail", "Error": "{% 'States.' & 'TaskFailed' %}", "Cause": "said so"}))
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "States.TaskFailed", "said so")


def test_a_state_machine_is_interpreted(execute: Any) -> None:
    found = execute(_machine(A={"Type": "Pass", "Output": "{% $states.input.a + 1 %}", "End": True}), {"a": 1})
    assert (found["status"], found["output"], found["states"]) == ("SUCCEEDED", 2, ["A"])


def test_executions_without_a_name_get_one_each(execute: Any) -> None:
    machine = execute.create(_machine(A={"Type": "Pass", "End": True}))
    first, second = (execute.finished(execute.start(machine)) for _ in range(2))
    assert first["name"] != second["name"]
    assert len(first["name"]) == 36


def test_a_name_is_used_once(execute: Any, client: Client) -> None:
    machine = execute.create(_machine(A={"Type": "Wait", "Seconds": 60, "End": True}))
    first = execute.start(machine, name="one")
    assert execute.start(machine, name="one") == first  # the same input while it runs: the same execution
    execute.finished(first)
    with pytest.raises(client("stepfunctions").exceptions.ExecutionAlreadyExists):
        execute.start(machine, name="one")


@pytest.mark.parametrize("name", ["x" * 81, "a b", "a/b", "a\x01"])
def test_a_name_that_aws_refuses_is_refused(execute: Any, client: Client, name: str) -> None:
    machine = execute.create(_machine(A={"Type": "Pass", "End": True}))
    with pytest.raises(ClientError, match=r"InvalidName|ValidationException"):
        execute.start(machine, name=name)


def test_every_end_of_an_execution_is_an_event(
    execute: Any, client: Client, eventually: Eventually, small_floor: None
) -> None:
    queue = client("sqs").create_queue(QueueName="events")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]})
    client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    pattern = {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"]}
    client("events").put_rule(Name="events", EventPattern=json.dumps(pattern))
    client("events").put_targets(Rule="events", Targets=[{"Id": "1", "Arn": arn}])
    ended = {
        "SUCCEEDED": execute(_machine(A={"Type": "Pass", "End": True}), {"a": 1}),
        "FAILED": execute(_machine(A={"Type": "Fail", "Error": "E", "Cause": "why"})),
        "TIMED_OUT": execute(_machine(A={"Type": "Wait", "Seconds": 600, "End": True}) | {"TimeoutSeconds": 6}),
    }
    waiting = execute.start(execute.create(_machine(A={"Type": "Wait", "Seconds": 600, "End": True})))
    client("stepfunctions").stop_execution(executionArn=waiting, cause="enough")
    ended["ABORTED"] = execute.finished(waiting)
    events: list[dict[str, Any]] = []

    def gather() -> bool:
        answer = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        events.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return len(events) >= 8

    eventually(gather)
    by_status = {(event["detail"]["status"], event["detail"]["executionArn"]): event for event in events}
    for status, found in ended.items():
        arn = found["executionArn"]
        assert ("RUNNING", arn) in by_status
        detail = by_status[(status, arn)]["detail"]
        assert by_status[(status, arn)]["resources"] == [arn]
        assert detail["stateMachineArn"] == found["stateMachineArn"]
        assert detail["stopDate"] >= detail["startDate"] > 1_600_000_000_000
    detail = by_status[("SUCCEEDED", ended["SUCCEEDED"]["executionArn"])]["detail"]
    assert (json.loads(detail["input"]), json.loads(detail["output"])) == ({"a": 1}, {"a": 1})
    detail = by_status[("FAILED", ended["FAILED"]["executionArn"])]["detail"]
    assert (detail["error"], detail["cause"], detail["output"]) == ("E", "why", None)


def test_executions_are_counted_by_how_they_end(execute: Any, client: Client, eventually: Eventually) -> None:
    found = execute(_machine(A={"Type": "Fail", "Error": "E"}))
    dimensions = [{"Name": "StateMachineArn", "Value": found["stateMachineArn"]}]

    def counted(name: str) -> float:
        end = found["stopDate"] + datetime.timedelta(hours=1)
        points = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/States",
            MetricName=name,
            Dimensions=dimensions,
            StartTime=found["startDate"] - datetime.timedelta(hours=1),
            EndTime=end,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    eventually(lambda: counted("ExecutionsFailed") == 1)
    assert (counted("ExecutionsStarted"), counted("ExecutionsSucceeded")) == (1, 0)


def _seen(client: Client, arn: str) -> dict[str, Any]:
    return {"history": client("stepfunctions").get_execution_history(executionArn=arn)["events"]}
