"""The dashboard and the alarms that stop a variant: what they look at exists, and chance alone rarely sets them off."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from usher.experiments.stats.presets import PRESETS

PROJECT = Path(__file__).parents[2]
CODE = ("layers/core/python/usher", "layers/lake/python/usher_lake", "functions")
#: What AWS's own services measure, of what is asked for here.
AWS_METRICS = {
    "AWS/ApiGateway": {"Count", "4xx", "5xx", "Latency"},
    "AWS/SageMaker": {"Invocations", "Invocation5XXErrors", "ModelLatency"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible"},
    "AWS/States": {"ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed"},
}
#: Names that the code puts together: `Variant` and a kind of guardrail, capitalized.
PUT_TOGETHER = {"VariantErrors", "VariantSlow", "VariantEmpty"}
MINUTES_OF_TWO_WEEKS = 14 * 24 * 60


@pytest.fixture(scope="module")
def resources() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml_parse((PROJECT / "template.yaml").read_text())["Resources"]
    return found


@pytest.fixture(scope="module")
def widgets(resources: Mapping[str, Any]) -> list[dict[str, Any]]:
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return found


def alarms(resources: Mapping[str, Any], word: str = "") -> dict[str, Mapping[str, Any]]:
    """The alarms with a name of their own that has `word` in it, by that name without the stack's."""
    found = {
        body["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"): body["Properties"]
        for body in resources.values()
        if body["Type"] == "AWS::CloudWatch::Alarm" and "AlarmName" in body["Properties"]
    }
    return {name: body for name, body in found.items() if word in name}


def shown(widgets: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """The metrics of the dashboard: namespace, name, dimensions; `.` is what stands above, as CloudWatch reads it."""
    for widget in widgets:
        above: tuple[str, ...] = ()
        for row in widget["properties"].get("metrics", []):
            names = [cell for cell in row if isinstance(cell, str)]
            above = tuple(above[place] if cell == "." else cell for place, cell in enumerate(names))
            yield above


def watched(resources: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for body in alarms(resources).values():
        stats = [each["MetricStat"]["Metric"] for each in body.get("Metrics", []) if "MetricStat" in each] or [body]
        for metric in stats:
            dimensions = [cell for each in metric["Dimensions"] for cell in (each["Name"], str(each["Value"]))]
            yield metric["Namespace"], metric["MetricName"], *dimensions


def strings() -> set[str]:
    """Every string in the code of the functions and their layers."""
    found = set()
    for folder in CODE:
        for path in (PROJECT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text())
            constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
            found |= {value for value in constants if isinstance(value, str)}
    return found


def test_every_metric_of_the_dashboard_and_the_alarms_is_emitted(
    resources: Mapping[str, Any], widgets: list[dict[str, Any]]
) -> None:
    known = strings() | PUT_TOGETHER
    services = {path.name for path in (PROJECT / "functions").iterdir()}
    metrics = [*shown(widgets), *watched(resources)]
    assert len(metrics) > 40
    for namespace, name, *dimensions in metrics:
        assert name in (known if namespace == "Usher" else AWS_METRICS[namespace]), name
        for key, value in zip(dimensions[::2], dimensions[1::2], strict=True):
            assert key != "service" or value in services, value
            assert key not in ("variant", "VariantName") or value in ("A", "B")


def test_the_widgets_of_the_dashboard_do_not_overlap(widgets: list[dict[str, Any]]) -> None:
    places = [(each["x"], each["y"], each["x"] + each["width"], each["y"] + each["height"]) for each in widgets]
    assert all(0 <= left < right <= 24 for left, _, right, _ in places)
    for one, other in combinations(places, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)


def test_the_dashboard_shows_every_alarm_that_has_a_name(
    resources: Mapping[str, Any], widgets: list[dict[str, Any]]
) -> None:
    (listed,) = [each["properties"]["alarms"] for each in widgets if each["type"] == "alarm"]
    named = {f"${{{name}.Arn}}" for name, body in resources.items() if "AlarmName" in body.get("Properties", {})}
    assert set(listed) == named


def test_both_variants_have_the_same_alarms(resources: Mapping[str, Any]) -> None:
    def without_variant(variant: str) -> dict[str, str]:
        found = alarms(resources, f"variant-{variant}-")
        return {
            name.replace(f"variant-{variant}-", ""): re.sub(rf"\b{variant}\b", "?", json.dumps(body, sort_keys=True))
            for name, body in found.items()
        }

    assert without_variant("A") == without_variant("B")
    assert set(without_variant("A")) == {"errors", "empty", "5xx", "latency"}


def test_a_variant_without_requests_raises_no_alarm(resources: Mapping[str, Any]) -> None:
    assert {body["TreatMissingData"] for body in alarms(resources).values()} == {"notBreaching"}


def above(share: float, requests: int, rate: float) -> float:
    """The probability that more than `share` of `requests` are bad, each with probability `rate`."""
    most = math.floor(share * requests)
    return 1.0 - sum(math.comb(requests, k) * rate**k * (1 - rate) ** (requests - k) for k in range(most + 1))


@pytest.mark.parametrize(
    ("name", "kind"), [("variant-A-errors", "errors"), ("variant-A-empty", "empty"), ("variant-A-5xx", "errors")]
)
def test_a_variant_at_its_guardrail_limits_rarely_raises_an_alarm(
    resources: Mapping[str, Any], name: str, kind: str
) -> None:
    body = alarms(resources)[name]
    expression = body["Metrics"][-1]["Expression"]
    least = int(re.fullmatch(r"IF\(\w+ >= (\d+), \w+ / \w+, 0\)", expression)[1])  # type: ignore[index]
    limit = PRESETS["default"].guardrail_limits[kind]
    worst = max(above(float(body["Threshold"]), requests, limit) for requests in range(least, 200))
    assert worst ** int(body["EvaluationPeriods"]) * MINUTES_OF_TWO_WEEKS < 0.001


def test_operations_explains_each_alarm(resources: Mapping[str, Any]) -> None:
    told = (PROJECT / "docs" / "operations.md").read_text()
    unnamed = [
        name
        for name, body in resources.items()
        if body["Type"] == "AWS::CloudWatch::Alarm" and "AlarmName" not in body["Properties"]
    ]
    names = {re.sub(r"variant-[AB]-", "variant-A-", name) for name in alarms(resources)} | set(unnamed)
    assert not [name for name in names if f"`{name}`" not in told and f"`…-{name}`" not in told]


def test_every_command_of_operations_exists() -> None:
    from cli.main import COMMANDS  # noqa: PLC0415 - typer, only here

    told = (PROJECT / "docs" / "operations.md").read_text()
    used = set(re.findall(r"`usher ([a-z]+)", told)) | set(re.findall(r"^usher ([a-z]+)", told, re.M))
    assert used and not used - set(COMMANDS)
