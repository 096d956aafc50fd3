"""EventBridge on the twin: events reach their targets, schedules fire, nothing gets lost silently. Failure paths first.

A minute of AWS's takes a second here (see the `server` fixture).
"""

from __future__ import annotations

import datetime
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from twin.context import Context

Client = Callable[[str], Any]
Wait = Callable[..., Any]

PATTERN = json.dumps({"source": ["shop"]})
ALLOWED = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": "*",
    "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/*"}},
}
RULE_ELSEWHERE = "arn:aws:events:eu-west-1:123456789012:rule/other"
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [ALLOWED]})


def _rule(client: Client, target: str, name: str = "rule", pattern: str = PATTERN, **settings: Any) -> str:
    arn = client("events").put_rule(Name=name, EventPattern=pattern)["RuleArn"]
    client("events").put_targets(Rule=name, Targets=[{"Id": "1", "Arn": target, **settings}])
    return str(arn)


def _put(client: Client, detail: dict[str, Any], **more: Any) -> str:
    entry = {"Source": "shop", "DetailType": "Sold", "Detail": json.dumps(detail), **more}
    answer = client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0
    return str(answer["Entries"][0]["EventId"])


def _queue(client: Client, name: str, **attributes: str) -> tuple[str, str]:
    url = client("sqs").create_queue(QueueName=name, Attributes={"Policy": POLICY, **attributes})["QueueUrl"]
    found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def _received(client: Client, url: str) -> list[dict[str, Any]]:
    names = {"MessageAttributeNames": ["All"], "AttributeNames": ["All"]}
    return list(client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, **names).get("Messages", []))


def _sum(client: Client, metric: str, rule: str = "rule") -> float:
    found = client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Events",
        MetricName=metric,
        Dimensions=[{"Name": "RuleName", "Value": rule}],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 3600,
        Period=7200,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in found["Datapoints"]))


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_that_cannot_be_delivered_is_an_error_in_the_log_and_counted(
    client: Client, server: Context, eventually: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    gone = f"arn:aws:sqs:{server.region}:123456789012:gone"
    _rule(client, gone)
    with caplog.at_level(logging.ERROR, "usher.twin.events"):
        _put(client, {"a": 1})
        eventually(lambda: _sum(client, "FailedInvocations") == 1)
    assert f"rule rule: the event for {gone} is lost after 1 attempts" in caplog.text


def test_an_event_that_cannot_be_delivered_goes_to_the_dead_letter_queue(
    client: Client, server: Context, eventually: Wait
) -> None:
    url, dead = _queue(client, "dead")
    gone = f"arn:aws:sqs:{server.region}:123456789012:gone"
    arn = _rule(client, gone, DeadLetterConfig={"Arn": dead})
    identity = _put(client, {"a": 1})
    (message,) = eventually(lambda: _received(client, url))
    assert json.loads(message["Body"])["id"] == identity
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["RULE_ARN"] == arn
    assert attributes["TARGET_ARN"] == gone
    assert "NonExistentQueue" in attributes["ERROR_CODE"]
    assert _sum(client, "FailedInvocations") == 1
    eventually(lambda: _sum(client, "InvocationsSentToDlq") == 1)


def test_a_queue_whose_policy_does_not_permit_eventbridge_gets_nothing(
    client: Client, server: Context, eventually: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    url, dead = _queue(client, "dead")
    other = json.dumps({"Statement": [{**ALLOWED, "Condition": {"ArnEquals": {"aws:SourceArn": RULE_ELSEWHERE}}}]})
    inbox_url, inbox = _queue(client, "inbox", Policy=other)
    targets = [inbox, _queue(client, "closed", Policy="")[1]]
    client("events").put_rule(Name="rule", EventPattern=PATTERN)
    wanted = [{"Id": str(i), "Arn": arn, "DeadLetterConfig": {"Arn": dead}} for i, arn in enumerate(targets)]
    client("events").put_targets(Rule="rule", Targets=wanted)
    with caplog.at_level(logging.ERROR, "usher.twin.events"):
        _put(client, {"a": 1})
        eventually(lambda: _sum(client, "InvocationsSentToDlq") == 2)
    messages = [message["MessageAttributes"] for _ in range(2) for message in _received(client, url)]
    assert {each["TARGET_ARN"]["StringValue"] for each in messages} == set(targets)
    assert {each["ERROR_CODE"]["StringValue"] for each in messages} == {"NO_PERMISSIONS"}
    denied = f"User: events.amazonaws.com is not authorized to perform: sqs:SendMessage on resource: {inbox} because no"
    assert denied in caplog.text
    assert _received(client, inbox_url) == []


def test_a_passing_fault_is_retried(
    client: Client, server: Context, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twin.events import delivery  # noqa: PLC0415

    url, dead = _queue(client, "dead")
    retries = {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600}
    target = f"arn:aws:states:{server.region}:123456789012:stateMachine:m"
    role = "arn:aws:iam::123456789012:role/r"
    _rule(client, target, DeadLetterConfig={"Arn": dead}, RetryPolicy=retries, RoleArn=role)
    calls = []

    def busy(*args: Any) -> None:
        calls.append(args)
        raise ClientError({"Error": {"Code": "Busy"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "StartExecution")  # type: ignore[typeddict-item]

    monkeypatch.setitem(delivery._SENDERS, "states", busy)
    _put(client, {"a": 1})
    (message,) = eventually(lambda: _received(client, url))
    assert len(calls) == 3
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert attributes["RETRY_ATTEMPTS"] == "2"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({"Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/x"}, "the twin cannot deliver to"),
        ({"Arn": "arn:aws:lambda:eu-west-1:123456789012:function:x"}, "the twin cannot deliver to"),
        ({"Arn": "arn:aws:sqs:us-east-1:123456789012:x"}, "in eu-west-1"),
        ({"HttpParameters": {"HeaderParameters": {}}}, "the twin does not support HttpParameters"),
        ({"Input": "{"}, "Input is not valid JSON"),
        ({"InputTransformer": {"InputTemplate": '{"a": 1'}}, "InputTemplate is not valid JSON"),
        ({"InputPath": "$.detail"}, "the twin does not support InputPath"),
    ],
)
def test_a_target_that_cannot_work_is_refused(
    client: Client, server: Context, target: dict[str, Any], reason: str
) -> None:
    client("events").put_rule(Name="rule", EventPattern=PATTERN)
    with pytest.raises(ClientError, match=reason):
        client("events").put_targets(
            Rule="rule", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:eu-west-1:123456789012:x", **target}]
        )
    assert client("events").list_targets_by_rule(Rule="rule")["Targets"] == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"ScheduleExpression": "rate(1 minutes)"}, "Parameter ScheduleExpression is not valid"),
        ({"ScheduleExpression": "cron(0 12 * * ? *)"}, "the twin supports no other schedule"),
        ({"EventPattern": '{"source": [{"sounds-like": "x"}]}'}, "Unrecognized match type"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(
    client: Client, server: Context, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ClientError, match=reason):
        client("events").put_rule(Name="rule", **settings)
    assert client("events").list_rules()["Rules"] == []


def test_a_disabled_rule_and_one_that_does_not_match_send_nothing(
    client: Client, server: Context, eventually: Wait
) -> None:
    url, arn = _queue(client, "inbox")
    _rule(client, arn, "disabled")
    client("events").disable_rule(Name="disabled")
    _rule(client, arn, "other", json.dumps({"source": ["warehouse"]}))
    client("events").put_rule(Name="scheduled", ScheduleExpression="rate(1 day)")
    client("events").put_targets(Rule="scheduled", Targets=[{"Id": "1", "Arn": arn}])
    _rule(client, arn, "last", Input='"this one"')
    _put(client, {"a": 1})
    assert [json.loads(message["Body"]) for message in eventually(lambda: _received(client, url))] == ["this one"]


# ── targets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_reaches_its_queue(client: Client, server: Context, eventually: Wait) -> None:
    url, arn = _queue(client, "inbox")
    _rule(client, arn)
    identity = _put(client, {"a": 1}, Resources=["arn:x"])
    (message,) = eventually(lambda: _received(client, url))
    event = json.loads(message["Body"])
    assert event.pop("id") == identity
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event.pop("time"))
    assert event == {
        "version": "0",
        "detail-type": "Sold",
        "source": "shop",
        "account": "123456789012",
        "region": "eu-west-1",
        "resources": ["arn:x"],
        "detail": {"a": 1},
    }
    eventually(lambda: _sum(client, "Invocations") == 1)
    assert _sum(client, "FailedInvocations") == 0


def test_a_transformed_event_reaches_a_queue(client: Client, server: Context, eventually: Wait) -> None:
    url, arn = _queue(client, "inbox")
    transformer = {"InputPathsMap": {"a": "$.detail.a"}, "InputTemplate": '{"found": <a>, "text": "it is there"}'}
    _rule(client, arn, InputTransformer=transformer)
    _put(client, {"a": ["x", 1]})
    (message,) = eventually(lambda: _received(client, url))
    assert json.loads(message["Body"]) == {"found": ["x", 1], "text": "it is there"}


# ── schedules ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def schedules(server: Context) -> Iterator[None]:
    """Schedules fire."""
    from twin.events.schedules import Schedules  # noqa: PLC0415 - a second of imports

    running = Schedules(server).start()
    yield
    running.stop()


def test_a_scheduled_rule_fires_again_and_again_until_it_is_disabled(
    client: Client, schedules: None, eventually: Wait
) -> None:
    url, queue = _queue(client, "inbox", VisibilityTimeout="43200")
    rule = client("events").put_rule(Name="tick", ScheduleExpression="rate(1 minute)")["RuleArn"]
    client("events").put_targets(Rule="tick", Targets=[{"Id": "1", "Arn": queue}])
    first = json.loads(eventually(lambda: _received(client, url))[0]["Body"])
    second = json.loads(eventually(lambda: _received(client, url))[0]["Body"])
    assert uuid.UUID(first.pop("id")) != uuid.UUID(second.pop("id"))
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(first.pop("time"))
    assert age < datetime.timedelta(minutes=1), "by the real clock"
    assert first == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "region": "eu-west-1",
        "resources": [rule],
        "detail": {},
    }
    client("events").disable_rule(Name="tick")
    time.sleep(1)  # one that was on its way
    _received(client, url)
    time.sleep(1.3)  # more than a minute of AWS's
    assert _received(client, url) == []
    client("events").enable_rule(Name="tick")
    eventually(lambda: _received(client, url))
