"""`usher cost`: every part has its line, the sums follow the use, the price list has a source for each price."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cli.costs.bill import HOURS, Instances, Line, Volume, bill, run_usd
from cli.costs.stack import read_stack
from cli.main import run
from usher.errors import NoPrice
from usher.runs import cost
from usher.runs.prices import price_list

VOLUME = Volume(requests=1e6, feedback=1e5, ratings=10**6, users=1e4)
INSTANCES = Instances(hosting="ml.c5.large", processing="ml.m5.xlarge", training="ml.m5.xlarge")
NOTHING = Volume(requests=0, feedback=0, ratings=0, users=0, runs=0, experiment_days=0)


def lines(volume: Volume = VOLUME, region: str = "us-east-1") -> dict[str, Line]:
    return {line.part: line for line in bill(volume, read_stack(), price_list(), INSTANCES, region)}


def total(volume: Volume, column: str) -> float:
    return sum(float(getattr(line, column)) for line in lines(volume).values())


def test_the_endpoint_is_two_instances_for_all_hours_and_the_function_has_none() -> None:
    endpoint = lines(NOTHING)["SageMaker endpoint"]
    assert endpoint.endpoint == pytest.approx(2 * HOURS * 0.102)
    assert (endpoint.at_rest, endpoint.function) == (0.0, 0.0)


def test_at_rest_costs_what_stands_alone_does() -> None:
    standing = {part for part, line in lines().items() if line.at_rest}
    assert standing == {"CloudWatch alarms", "Secrets Manager", "SQS polling", "ECR"}
    assert total(VOLUME, "at_rest") == total(NOTHING, "at_rest")
    assert 4.0 < total(NOTHING, "at_rest") < 5.0


def test_an_unused_deployment_with_the_function_back_end_costs_little_more_than_one_at_rest() -> None:
    more = total(NOTHING, "function") - total(NOTHING, "at_rest")
    assert more == pytest.approx(0.10 + 12 * 0.30)  # a build, and the metrics of ingest


@pytest.mark.parametrize(
    ("field", "factor", "part"),
    [
        ("requests", 10, "API Gateway"),
        ("requests", 10, "Lambda"),
        ("feedback", 10, "Firehose"),
        ("ratings", 10, "S3"),
        ("ratings", 100, "SageMaker jobs"),
        ("users", 10, "DynamoDB"),
        ("runs", 10, "SageMaker jobs"),
    ],
)
def test_more_use_costs_more(field: str, factor: int, part: str) -> None:
    more = replace(VOLUME, **{field: getattr(VOLUME, field) * factor})
    assert lines(more)[part].function > lines()[part].function


def test_the_jobs_are_the_estimate_of_the_plans() -> None:
    settings = cost.JobSettings("ml.m5.xlarge", "ml.m5.xlarge", trials=8)
    rows = cost.TrainingRows(VOLUME.ratings)
    first, later = cost.estimate(rows, rows.algorithms(), settings).usd, cost.estimate(rows, (), settings).usd
    assert run_usd(VOLUME, INSTANCES, 8) == pytest.approx(first + 3 * later)
    assert run_usd(NOTHING, INSTANCES, 8) == 0.0


def test_another_region_multiplies_and_an_unknown_one_is_refused() -> None:
    assert lines(region="eu-west-1")["API Gateway"].endpoint == pytest.approx(1.1 * lines()["API Gateway"].endpoint)
    with pytest.raises(NoPrice, match=r"region 'mars'.*choose one of us-east-1"):
        lines(region="mars")


def test_every_price_has_a_source_page_and_a_unit() -> None:
    prices = price_list()
    assert prices.usd.keys() == prices.sources.keys() == prices.units.keys()
    assert all(source.startswith("https://aws.amazon.com/") for source in prices.sources.values())
    assert all(value > 0 for value in prices.usd.values())
    assert "check them" in prices.about
    with pytest.raises(NoPrice, match=r"item 'lambda\.moon'"):
        prices.price("lambda.moon")


def test_the_command_prints_every_part_and_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["cost", "--requests", "1e6", "--ratings", "1e7", "--users", "1e5"]
    assert run(given, debug=False) == 0
    shown = capsys.readouterr().out
    assert run([*given, "--json"], debug=False) == 0
    said: Any = json.loads(capsys.readouterr().out)
    for line in said["lines"]:
        assert line["part"] in shown
    assert f"{sum(line['endpoint'] for line in said['lines']):,.2f}" in shown
    assert "us-east-1" in shown and price_list().as_of in shown


def test_an_instance_type_without_a_price_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cost", "--hosting", "ml.p9.huge"], debug=False) == 1
    assert "no price is known for hosting instance type 'ml.p9.huge'" in capsys.readouterr().err
