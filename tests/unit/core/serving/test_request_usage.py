"""What one recommendation uses on AWS, counted: the figures that `usher cost` multiplies."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from cli.costs import usage
from tests.unit.aws_usage import AwsUsage, metrics_of
from tests.unit.core.serving.conftest import USERS, Api
from usher.serving.metrics import Telemetry


@pytest.fixture
def counted(opened: Api, monkeypatch: pytest.MonkeyPatch) -> AwsUsage:
    """The read path with its real metrics, its caches warm."""
    telemetry: Any = Telemetry("recommend_items", logging.getLogger("recommend_items"))
    telemetry.defects = []
    opened.told = telemetry
    opened("/recommendations", user_id="someone else")
    return AwsUsage(monkeypatch)


def recommend(api: Api, user: str) -> None:
    status, body = api("/recommendations", user_id=user)
    assert status == 200
    api.told.answered(status, body)


def test_a_first_request_of_an_experiment_reads_once_and_writes_once(opened: Api, counted: AwsUsage) -> None:
    recommend(opened, "u1")
    assert counted.calls == {"Query": usage.RECOMMENDATION.read_units, "InvokeEndpoint": 1, "PutItem": 1}
    assert usage.ENROLMENT.write_units == 2  # the item has GSI1pk: once for the table, once for the index


def test_later_requests_read_once_and_stay_within_the_bytes(
    opened: Api, counted: AwsUsage, capsys: pytest.CaptureFixture[str]
) -> None:
    recommend(opened, "u1")
    counted.clear()
    capsys.readouterr()
    recommend(opened, "u1")
    assert counted.calls == {"Query": usage.RECOMMENDATION.read_units, "InvokeEndpoint": 1}
    written = len(capsys.readouterr().out) + usage.PLATFORM_LOG_BYTES
    assert 0.5 * usage.RECOMMENDATION.log_bytes < written <= usage.RECOMMENDATION.log_bytes
    assert 0 < counted.bytes["InvokeEndpoint"] <= usage.RECOMMENDATION.endpoint_bytes


def test_the_metrics_of_the_read_path_are_counted(
    opened: Api, counted: AwsUsage, capsys: pytest.CaptureFixture[str]
) -> None:
    for user in USERS:
        recommend(opened, user)
    assert len(metrics_of(capsys.readouterr().out)) == usage.METRICS["recommendations"]
