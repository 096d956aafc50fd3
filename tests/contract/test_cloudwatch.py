"""CloudWatch on the twin: metrics embedded in logs, statistics as AWS computes them, alarms that fire. Failures first.

A minute of AWS's takes a second here (see the `server` fixture).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from twin.context import Context

Client = Callable[[str], Any]
Make = Callable[..., str]
Wait = Callable[..., Any]


def _put(client: Client, name: str, *values: float, namespace: str = "Usher", **dimensions: str) -> None:
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    data = [{"MetricName": name, "Dimensions": named, "Values": list(values), "Unit": "Count"}]
    client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


def _statistics(client: Client, name: str, *, namespace: str = "Usher", **more: Any) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in more.pop("dimensions", {}).items()]
    asked: dict[str, Any] = {"Statistics": ["Sum", "Average", "Minimum", "Maximum", "SampleCount"], **more}
    points = client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=dimensions,
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=86400,
        **asked,
    )["Datapoints"]
    assert len(points) <= 1
    return dict(points[0]) if points else {}


def _alarm(client: Client, name: str = "alarm", **more: Any) -> None:
    settings = {
        "Namespace": "Usher",
        "MetricName": "Bad",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        **more,
    }
    settings = {key: value for key, value in settings.items() if value is not None}
    client("cloudwatch").put_metric_alarm(AlarmName=name, **settings)


def _state(client: Client, name: str = "alarm") -> str:
    (alarm,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(alarm["StateValue"])


def _queue(client: Client, name: str) -> tuple[str, str]:
    never_again = {"VisibilityTimeout": "43200"}  # what was received once is not received again
    url = client("sqs").create_queue(QueueName=name, Attributes=never_again)["QueueUrl"]
    found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def _bodies(client: Client, url: str) -> list[Any]:
    found = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


@pytest.fixture
def alarms(server: Context) -> Iterator[None]:
    """Alarms are judged."""
    from twin.cloudwatch.alarms import Alarms  # noqa: PLC0415 - a second of imports

    running = Alarms(server).start()
    yield
    running.stop()


# ── metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_malformed_embedded_metric_is_counted(client: Client, function: Make) -> None:
    line: dict[str, Any] = {"_aws": {"Timestamp": "now", "CloudWatchMetrics": []}}
    arn = function(f"import json\ndef handler(event, context):\n    print(json.dumps({line!r}))\n")
    client("lambda").invoke(FunctionName=arn)
    assert _statistics(client, "EMFValidationErrors", namespace="AWS/Logs")["Sum"] == 1


def test_what_a_function_prints_in_the_embedded_format_is_a_metric(client: Client, function: Make) -> None:
    arn = function(
        """
        import json, time
        def handler(event, context):
            metrics = [{"Name": "Rows", "Unit": "Count"}, {"Name": "Time", "Unit": "Milliseconds"}]
            directive = {"Namespace": "Usher", "Dimensions": [["service"], []], "Metrics": metrics}
            about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
            print(json.dumps({"_aws": about, "service": "ingest", "Rows": event["rows"], "Time": [1, 2, 6]}))
        """
    )
    for rows in (5, 7):
        client("lambda").invoke(FunctionName=arn, Payload=json.dumps({"rows": rows}))
    counted = _statistics(client, "Rows", dimensions={"service": "ingest"})
    assert (counted["Sum"], counted["SampleCount"], counted["Unit"]) == (12, 2, "Count")
    times = _statistics(client, "Time")
    assert (times["Sum"], times["Average"], times["Maximum"], times["SampleCount"]) == (18, 3, 6, 6)


def test_embedded_metrics_in_any_log_become_metric_data(client: Client, server: Context) -> None:
    client("logs").create_log_group(logGroupName="/job")
    client("logs").create_log_stream(logGroupName="/job", logStreamName="one")
    now = int(time.time() * 1000)
    directive = {"Namespace": "Usher", "Dimensions": [[]], "Metrics": [{"Name": "Epochs"}]}
    line = {"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, "Epochs": 4}
    events = [{"timestamp": now, "message": json.dumps(line)}]
    client("logs").put_log_events(logGroupName="/job", logStreamName="one", logEvents=events)
    assert _statistics(client, "Epochs")["Sum"] == 4


def test_powertools_metrics_arrive(client: Client, function: Make, archive: Callable[..., bytes], project: Any) -> None:
    pins = (project / "layers" / "core" / "requirements.txt").read_text()
    content = {"ZipFile": archive({"requirements.txt": pins})}
    layer = client("lambda").publish_layer_version(LayerName="core", Content=content)["LayerVersionArn"]
    arn = function(
        """
        from aws_lambda_powertools import Metrics
        from aws_lambda_powertools.metrics import MetricUnit
        metrics = Metrics(namespace="Usher", service="ingest")
        @metrics.log_metrics
        def handler(event, context):
            metrics.add_metric(name="RowsQuarantined", unit=MetricUnit.Count, value=3)
        """,
        Layers=[layer],
    )
    answer = client("lambda").invoke(FunctionName=arn)
    assert "FunctionError" not in answer
    assert _statistics(client, "RowsQuarantined", dimensions={"service": "ingest"})["Sum"] == 3


def test_a_series_is_its_namespace_and_exactly_its_dimensions(client: Client, server: Context) -> None:
    _put(client, "Rows", 1.0)
    _put(client, "Rows", 2.0, service="a")
    _put(client, "Rows", 4.0, service="a", kind="x")
    _put(client, "Rows", 8.0, namespace="Other", service="a")
    assert _statistics(client, "Rows")["Sum"] == 1
    assert _statistics(client, "Rows", dimensions={"service": "a"})["Sum"] == 2
    assert _statistics(client, "Rows", dimensions={"service": "a"}, namespace="Other")["Sum"] == 8
    assert _statistics(client, "Rows", dimensions={"kind": "x"}) == {}
    _put(client, "Time", *map(float, range(1, 101)))
    found = _statistics(client, "Time", Statistics=["Sum"], ExtendedStatistics=["p50", "p99"])["ExtendedStatistics"]
    assert found == {"p50": 50.5, "p99": pytest.approx(99.01)}


def test_metric_data_have_percentiles_and_expressions(client: Client, server: Context) -> None:
    _put(client, "Errors", 1.0, 2.0, service="a")
    _put(client, "Errors", 100.0, namespace="Other", service="a")
    _put(client, "Calls", 4.0, 8.0, service="a")

    def stat(identity: str, name: str, statistic: str) -> dict[str, Any]:
        metric = {"Namespace": "Usher", "MetricName": name, "Dimensions": [{"Name": "service", "Value": "a"}]}
        asked = {"Metric": metric, "Period": 86400, "Stat": statistic}
        return {"Id": identity, "MetricStat": asked, "ReturnData": identity == "p"}

    queries = [
        stat("m1", "Errors", "Sum"),
        stat("m2", "Calls", "Sum"),
        {"Id": "rate", "Expression": "100 * m1 / m2", "Label": "percent"},
        stat("p", "Errors", "p50"),
    ]
    span = {"StartTime": time.time() - 3600, "EndTime": time.time() + 60}
    results = client("cloudwatch").get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
    assert {each["Id"]: (each["Label"], each["Values"]) for each in results} == {
        "rate": ("percent", [25.0]),
        "p": ("Errors p50", [1.5]),
    }
    queries[2]["Expression"] = "RATE(m1)"
    with pytest.raises(ClientError, match="the twin computes"):
        client("cloudwatch").get_metric_data(MetricDataQueries=queries, **span)


def test_metrics_of_high_resolution_are_read_second_by_second(client: Client, server: Context) -> None:
    began = int(time.time()) - 30
    data = [
        {"MetricName": "VariantRequests", "Timestamp": began + second, "Value": 1.0, "StorageResolution": 1}
        for second in (0, 0, 1, 3)
    ]
    client("cloudwatch").put_metric_data(Namespace="Usher", MetricData=data)

    def by(period: int) -> list[tuple[int, float]]:
        metric = {"Metric": {"Namespace": "Usher", "MetricName": "VariantRequests"}, "Period": period, "Stat": "Sum"}
        (found,) = client("cloudwatch").get_metric_data(
            MetricDataQueries=[{"Id": "m", "MetricStat": metric}],
            StartTime=began,
            EndTime=began + 10,
            ScanBy="TimestampAscending",
        )["MetricDataResults"]
        moments = [int(moment.timestamp()) - began for moment in found["Timestamps"]]
        return list(zip(moments, found["Values"], strict=True))

    assert by(1) == [(0, 2.0), (1, 1.0), (3, 1.0)]
    assert sum(value for _, value in by(5)) == 4.0


# ── alarms ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_STAT: dict[str, Any] = {"Metric": {"Namespace": "Usher", "MetricName": "Bad"}, "Period": 60, "Stat": "Sum"}
_ON_METRIC: dict[str, Any] = {"Namespace": None, "MetricName": None, "Statistic": None, "Period": None}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"Statistic": None, "ExtendedStatistic": "p101"}, "the twin computes"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold", "Threshold": None}, "the twin does not compare by"),
        ({"TreatMissingData": "sometimes"}, "TreatMissingData 'sometimes'"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm is larger than EvaluationPeriods"),
        ({"AlarmActions": ["arn:aws:automate:eu-west-1:ec2:stop"]}, "the twin cannot deliver to"),
        (
            {**_ON_METRIC, "Metrics": [{"Id": "a", "MetricStat": _STAT}, {"Id": "b", "Expression": "RATE(a)"}]},
            "computes",
        ),
        (
            {**_ON_METRIC, "Metrics": [{"Id": "a", "MetricStat": _STAT}, {"Id": "b", "Expression": "a / c"}]},
            "unknown ids",
        ),
        ({**_ON_METRIC, "Metrics": [{"Id": "a", "MetricStat": _STAT}, {"Id": "b", "Expression": "a"}]}, "exactly one"),
    ],
)
def test_an_alarm_that_cannot_be_judged_is_refused(
    client: Client, server: Context, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ClientError, match=reason):
        _alarm(client, **settings)
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    _alarm(client)
    assert _state(client) == "INSUFFICIENT_DATA"


def test_an_alarm_treats_missing_data_as_configured(client: Client, alarms: None, eventually: Wait) -> None:
    _alarm(client, "good", TreatMissingData="notBreaching")
    _alarm(client, "bad", TreatMissingData="breaching")
    _alarm(client, "unknown", TreatMissingData="missing")
    eventually(lambda: _state(client, "good") == "OK")
    eventually(lambda: _state(client, "bad") == "ALARM")
    assert _state(client, "unknown") == "INSUFFICIENT_DATA"


def test_an_alarm_notifies_its_topic_and_the_event_bus_and_recovers(
    client: Client, alarms: None, eventually: Wait
) -> None:
    topic_url, topic_queue = _queue(client, "topic")
    events_url, events_queue = _queue(client, "events")
    topic = client("sns").create_topic(Name="topic")["TopicArn"]
    raw = {"RawMessageDelivery": "true"}
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=topic_queue, Attributes=raw)
    pattern = {"source": ["aws.cloudwatch"], "detail": {"state": {"value": ["ALARM"]}}}
    client("events").put_rule(Name="fired", EventPattern=json.dumps(pattern))
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": events_queue}
    attributes = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
    client("sqs").set_queue_attributes(QueueUrl=events_url, Attributes=attributes)
    client("events").put_targets(Rule="fired", Targets=[{"Id": "1", "Arn": events_queue}])
    _alarm(client, AlarmActions=[topic], OKActions=[topic], Dimensions=[{"Name": "service", "Value": "a"}])
    eventually(lambda: _state(client) == "OK")
    assert [message["NewStateValue"] for message in eventually(lambda: _bodies(client, topic_url))] == ["OK"]

    _put(client, "Bad", 9.0)  # another series
    _put(client, "Bad", 1.0, 2.0, service="a")
    eventually(lambda: _state(client) == "ALARM")
    (message,) = eventually(lambda: _bodies(client, topic_url))
    assert (message["AlarmName"], message["NewStateValue"], message["OldStateValue"]) == ("alarm", "ALARM", "OK")
    assert message["NewStateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [3.0] was greater")
    assert message["Trigger"]["Statistic"] == "SUM"
    (event,) = eventually(lambda: _bodies(client, events_url))
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["previousState"]["value"] == "OK"
    metric = event["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"]
    assert metric == {"namespace": "Usher", "name": "Bad", "dimensions": {"service": "a"}}
    eventually(lambda: _state(client) == "OK")
    assert [message["NewStateValue"] for message in eventually(lambda: _bodies(client, topic_url))] == ["OK"]


def test_an_alarm_on_a_dead_letter_queue_fires(client: Client, alarms: None, eventually: Wait) -> None:
    url, _ = _queue(client, "dead")
    dimensions = [{"Name": "QueueName", "Value": "dead"}]
    visible = "ApproximateNumberOfMessagesVisible"
    _alarm(client, Namespace="AWS/SQS", MetricName=visible, Statistic="Maximum", Dimensions=dimensions)
    eventually(lambda: _state(client) == "OK")
    client("sqs").send_message(QueueUrl=url, MessageBody="lost")
    eventually(lambda: _state(client) == "ALARM")
    client("sqs").purge_queue(QueueUrl=url)
    eventually(lambda: _state(client) == "OK")


def test_an_alarm_on_an_expression_fires_and_says_the_value(client: Client, alarms: None, eventually: Wait) -> None:
    metrics: list[dict[str, Any]] = [
        {"Id": name, "MetricStat": {**_STAT, "Metric": {"Namespace": "Usher", "MetricName": name}}, "ReturnData": False}
        for name in ("errors", "calls")
    ]
    metrics.append({"Id": "rate", "Expression": "100 * errors / calls"})
    _alarm(client, **_ON_METRIC, Metrics=metrics, Threshold=10)
    eventually(lambda: _state(client) == "OK")
    data = [{"MetricName": "errors", "Value": 2.0}, {"MetricName": "calls", "Value": 10.0}]
    client("cloudwatch").put_metric_data(Namespace="Usher", MetricData=data)
    eventually(lambda: _state(client) == "ALARM")
    (alarm,) = client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert "[20.0]" in alarm["StateReason"]


def test_a_changed_alarm_keeps_its_state(client: Client, server: Context) -> None:
    _alarm(client)
    client("cloudwatch").set_alarm_state(AlarmName="alarm", StateValue="ALARM", StateReason="by hand")
    _alarm(client, Threshold=5)
    assert _state(client) == "ALARM"


def test_the_alarm_of_a_broken_variant_starts_the_workflow_and_no_other_alarm_does(
    client: Client, execute: Any, alarms: None, eventually: Wait
) -> None:
    machine = execute.create({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [{"prefix": "usher-variant-"}], "state": {"value": ["ALARM"]}},
    }
    client("events").put_rule(Name="variants", EventPattern=json.dumps(pattern))
    transformer = {"InputPathsMap": {"alarm": "$.detail.alarmName"}, "InputTemplate": '{"alarm": <alarm>}'}
    role = client("iam").create_role(
        RoleName="events",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ],
            }
        ),
    )["Role"]["Arn"]
    start = {"Effect": "Allow", "Action": "states:StartExecution", "Resource": machine}
    client("iam").put_role_policy(
        RoleName="events", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [start]})
    )
    target = {"Id": "1", "Arn": machine, "RoleArn": role, "InputTransformer": transformer}
    client("events").put_targets(Rule="variants", Targets=[target])
    for name, variant in (("usher-variant-A-errors", "A"), ("usher-variant-B-errors", "B"), ("usher-other", "B")):
        stats: list[dict[str, Any]] = [
            {
                "Id": metric.lower(),
                "MetricStat": {
                    "Metric": {
                        "Namespace": "Usher",
                        "MetricName": metric,
                        "Dimensions": [{"Name": "variant", "Value": variant}],
                    },
                    "Period": 60,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            }
            for metric in ("Errors", "Requests")
        ]
        stats.append({"Id": "rate", "Expression": "IF(requests >= 20, errors / requests, 0)"})
        _alarm(client, name, **_ON_METRIC, Metrics=stats, Threshold=0.1)
    for name in ("usher-variant-A-errors", "usher-variant-B-errors", "usher-other"):
        eventually(lambda name=name: _state(client, name) == "OK")

    def changed() -> Any:
        return client("cloudwatch").describe_alarms(AlarmNames=["usher-other"])["MetricAlarms"][0][
            "StateUpdatedTimestamp"
        ]

    before = changed()
    few, many = [1.0] * 10, [1.0] * 30
    for variant, requests, errors in (("A", few, few), ("B", many, many[:20])):
        _put(client, "Requests", *requests, variant=variant)
        _put(client, "Errors", *errors, variant=variant)
    listed = eventually(lambda: client("stepfunctions").list_executions(stateMachineArn=machine)["executions"])
    eventually(lambda: changed() > before)  # it has fired, too
    given = [
        json.loads(client("stepfunctions").describe_execution(executionArn=each["executionArn"])["input"])
        for each in client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    ]
    assert listed and given
    assert {each["alarm"] for each in given} == {"usher-variant-B-errors"}
