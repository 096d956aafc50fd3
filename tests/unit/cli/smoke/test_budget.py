"""What a smoke test costs at most: parts billed by time count for the time limit, the others once."""

from __future__ import annotations

import pytest

from cli.commands.smoke import PARAMETERS
from cli.costs.bill import HOURS
from cli.costs.stack import read_stack
from cli.smoke.budget import estimate
from usher.errors import NoPrice
from usher.runs.prices import price_list


def parts(hours: float, region: str = "us-east-1", **parameters: str) -> dict[str, float]:
    given = {**PARAMETERS, **parameters}
    return {
        part.name: part.usd for part in estimate(read_stack(), given, price_list(), region, rows=50_000, hours=hours)
    }


def test_the_endpoint_costs_two_fleets_of_two_instances_for_the_whole_time() -> None:
    hour = price_list().hour("hosting", "ml.c5.large")
    assert parts(3.0)["SageMaker endpoint"] == pytest.approx(4 * 3 * hour, rel=1e-3)
    assert "SageMaker endpoint" not in parts(3.0, ServingBackend="function")


def test_alarms_cost_their_share_of_the_month_and_the_build_its_whole_price() -> None:
    stack, prices = read_stack(), price_list()
    alarms = stack.alarm_metrics * prices.price("cloudwatch.alarm_metric")
    assert parts(73.0)["CloudWatch alarms"] == pytest.approx(alarms * 73 / HOURS)
    assert parts(1.0)["CodeBuild"] == parts(73.0)["CodeBuild"]


def test_fewer_trials_and_another_region_change_the_price() -> None:
    assert parts(3.0)["SageMaker jobs"] < parts(3.0, TuningTrials="8")["SageMaker jobs"]
    assert sum(parts(3.0, "eu-west-1").values()) == pytest.approx(1.1 * sum(parts(3.0).values()))
    with pytest.raises(NoPrice):
        parts(3.0, HostingInstanceType="ml.p9.huge")
