"""Requests are checked as AWS checks them; limits and metrics are read as AWS reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twin import context
from twin.sagemaker import container, validation
from twin.sagemaker.container import LINE_BYTES_MAX, Container
from twin.sagemaker.errors import Refused
from twin.sagemaker.output import Metrics


def _refusal(action: str, body: dict[str, Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        validation.check(action, body)
    return caught.value


def test_everything_that_is_wrong_is_named_at_once() -> None:
    refused = _refusal("CreateEndpoint", {"EndpointName": "a_b"})
    assert refused.code == "ValidationException"
    assert refused.message == (
        "2 validation errors detected: Value null at 'endpointConfigName' failed to satisfy constraint: Member must "
        "not be null; Value 'a_b' at 'endpointName' failed to satisfy constraint: Member must satisfy regular "
        "expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_members_of_lists_are_named_by_their_place() -> None:
    variants = [{"VariantName": "A"}, {"VariantName": "A_"}]
    refused = _refusal("CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": variants})
    assert "'productionVariants.2.member.variantName'" in refused.message


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("DescribeEndpoint", {"EndpointName": 7}),
        ("DescribeEndpoint", {"EndpointName": True}),
        ("CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": {}}),
        ("ListEndpoints", {"MaxResults": "7"}),
        ("ListEndpoints", {"MaxResults": True}),
        ("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c", "RetainAllVariantProperties": "yes"}),
    ],
)
def test_a_value_of_another_type_is_refused(action: str, body: dict[str, Any]) -> None:
    assert _refusal(action, body).code == "SerializationException"


def test_what_aws_accepts_is_accepted() -> None:
    validation.check("ListEndpoints", {"MaxResults": 7, "CreationTimeAfter": 1.5e9, "StatusEquals": "InService"})
    validation.check("DescribeEndpoint", {"EndpointName": "e", "Unknown": 1})  # the JSON protocol ignores it
    validation.check(
        "AddTags",
        {"ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:model/m", "Tags": [{"Key": "é", "Value": ""}]},
    )


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("speed", "seconds", "real"),
    [(1.0, 3600, 3600), (10.0, 3600, 360), (600.0, 3600, 60), (600.0, 5, 5), (10.0, 30, 30)],
)
def test_limits_on_work_scale_down_to_a_floor_and_never_up(
    speed: float, seconds: float, real: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = context.Context("http://127.0.0.1:1", "eu-west-1", Path(), speed)
    monkeypatch.setattr(context, "_current", here)
    assert container.work_seconds(seconds) == real


# ── metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────────

NDCG = {"Name": "ndcg", "Regex": r"validation:ndcg@10=(\S+)"}


@pytest.mark.parametrize("regex", ["(", "ndcg=.*", "[", "*"])
def test_a_regex_that_gives_no_value_is_refused(regex: str) -> None:
    with pytest.raises(Refused, match="metric ndcg"):
        Metrics([{"Name": "ndcg", "Regex": regex}])


def test_only_finite_numbers_are_metrics_and_the_last_one_counts() -> None:
    metrics = Metrics([NDCG, {"Name": "loss", "Regex": r"loss=(\S+)"}])
    found = metrics.read(["validation:ndcg@10=0.1 loss=nan", "nothing", "validation:ndcg@10=1e-1x", "loss=inf"])
    assert [(item.name, item.value) for item in found] == [("ndcg", 0.1)]
    metrics.read(["validation:ndcg@10=0.25 loss=3"])
    assert metrics.series("ndcg") == [0.1, 0.25]
    assert [(item["MetricName"], item["Value"]) for item in metrics.final()] == [("ndcg", 0.25), ("loss", 3.0)]


# ── a container's folder and output ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/etc/passwd", "/opt/ml", "/opt/ml/../../etc", "opt/ml/x", "/opt/mlx/y"])
def test_a_path_outside_of_opt_ml_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="does not lie under /opt/ml/"):
        Container(tmp_path / "base").path(path)


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("/opt/ml/model", "{}/model"),
        ("--model=/opt/ml/model", "--model={}/model"),
        ('{"path": "/opt/ml/model"}', '{{"path": "{}/model"}}'),
        ("s3://bucket/opt/ml/model", "s3://bucket/opt/ml/model"),
        ("/opt/mlx", "/opt/mlx"),
    ],
)
def test_paths_of_the_container_are_translated(tmp_path: Path, text: str, translated: str) -> None:
    base = tmp_path / "base"
    assert Container(base)._translated(text) == translated.format(base)


def test_output_comes_in_whole_lines(tmp_path: Path) -> None:
    container = Container(tmp_path / "base")
    assert container.lines() == []  # it has not been started
    output = tmp_path / "base.log"
    output.write_bytes(b"one\r\ntw")
    assert container.lines() == ["one"]
    with output.open("ab") as more:
        more.write(b"o\nthree \xff")
    assert container.lines() == ["two"]
    assert container.lines(last=True) == ["three \ufffd"]
    assert container.lines(last=True) == []


def test_a_line_that_does_not_end_is_cut(tmp_path: Path) -> None:
    container = Container(tmp_path / "base")
    (tmp_path / "base.log").write_bytes(b"x" * (2 * LINE_BYTES_MAX + 5))
    lines = container.lines(last=True)
    assert [len(line) for line in lines] == [LINE_BYTES_MAX, LINE_BYTES_MAX, 5]
