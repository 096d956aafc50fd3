"""What shift_traffic reads is what the other functions count: the same names, the same dimensions."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from twin.cloudwatch.emf import parse
from usher.experiments.metrics import Metrics, Period
from usher.feedback import metrics as feedback
from usher.serving import metrics as recommend
from usher.serving.assignment import Assignment
from usher.store.experiments import Meta


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


class Counted:
    """A verdict on one event: which experiment it was for, and what it counts."""

    def __init__(self, experiment: str, **metrics: int) -> None:
        self.experiment, self.metrics = experiment, metrics


META = Meta("xr1-1", "s", int(time.time()) - 60, 1, 1, 1.0, 3600.0, 1, "demo", "A", "B", {})


def publish(cloudwatch: Any, printed: str) -> None:
    """What CloudWatch Logs makes of the lines of a function."""
    for namespace, data in (found for line in printed.splitlines() for found in parse(line)):
        for datum in data:
            named = [{"Name": name, "Value": value} for name, value in datum.dimensions]
            values = [datum.value] if isinstance(datum.value, int | float) else list(datum.value)
            entry = {"MetricName": datum.name, "Dimensions": named, "Values": values, "Timestamp": datum.timestamp}
            cloudwatch.put_metric_data(Namespace=namespace, MetricData=[entry])


def test_the_join_rate_is_of_what_feedback_counts_for_the_experiment(
    cloudwatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts: Any = [
        *[Counted("xr1-1", EnrolledOutcomes=1, JoinedOutcomes=1)] * 3,
        Counted("xr1-1", EnrolledOutcomes=1),
        Counted("xr2-1", EnrolledOutcomes=1),
    ]
    feedback.Telemetry("ingest_feedback", logging.getLogger("test")).judged(verdicts)
    publish(cloudwatch, capsys.readouterr().out)
    assert Metrics(cloudwatch, META).join_rate(time.time() + 60) == 0.75


def test_the_guardrails_see_what_was_asked_of_each_role_in_the_experiment_and_no_other(
    cloudwatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry = recommend.Telemetry("recommend_items", logging.getLogger("test"))
    asked: Any = [
        *[(Assignment("A", "xr1-1"), [])] * 5,
        *[(Assignment("B", "xr1-1"), ["errors"])] * 2,
        (Assignment("B", "xr1-1"), ["slow", "empty"]),
        *[(Assignment("A"), ["errors"])] * 7,
        (Assignment("B", "xr2-1"), ["errors"]),
    ]
    minute = int(time.time()) // 60 * 60
    for given, faults in asked:
        telemetry.variant_asked(given, faults)
    publish(cloudwatch, capsys.readouterr().out)
    found = Metrics(cloudwatch, META).minutes([Period(minute, 0), Period(minute + 60, 1)])  # a minute may end meanwhile
    assert [sum(pair) for pair in zip(*(one.requests for one in found), strict=True)] == [5, 3]
    bad = {kind: sum(one.bad[kind][1] for one in found) for kind in ("errors", "slow", "empty")}
    assert bad == {"errors": 2, "slow": 1, "empty": 1}
    assert sum(sum(pair[0] for pair in one.bad.values()) for one in found) == 0
