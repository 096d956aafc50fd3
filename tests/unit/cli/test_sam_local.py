"""The template for `sam local` has every route where SAM looks for it, and every path absolute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from cli import sam_template
from cli.errors import CommandError
from cli.target import Target
from twin.cloudformation import template as templates

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def template() -> Any:
    return templates.parse((PROJECT / "template.yaml").read_text())


def test_each_route_is_an_event_of_the_function_behind_it(template: Any) -> None:
    resources = template["Resources"]
    sam_template._routed(resources)
    found = {
        f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}": name
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    routes = [one["Properties"]["RouteKey"] for one in resources.values() if one["Type"] == "AWS::ApiGatewayV2::Route"]
    assert sorted(found) == sorted(routes)
    assert found["GET /recommendations"] == "RecommendItems"
    assert found["POST /feedback"] == "IngestFeedback"


def test_paths_are_absolute_wherever_the_copy_lies(template: Any, tmp_path: Path) -> None:
    layer = template["Resources"]["CoreLayer"]["Properties"]
    sam_template._anchor(layer, tmp_path)
    assert Path(layer["ContentUri"]).is_absolute()
    remote = {"CodeUri": "s3://bucket/key"}
    sam_template._anchor(remote, tmp_path)
    assert remote == {"CodeUri": "s3://bucket/key"}


def test_what_is_missing_is_one_line(tmp_path: Path) -> None:
    target = Target(boto3.Session("a", "b", None, "eu-west-1"), "usher", "the twin", endpoint="http://127.0.0.1:9")
    with pytest.raises(CommandError, match="run `make build` first"):
        sam_template.write(target, {}, tmp_path, tmp_path / "sam.json")
    built = tmp_path / sam_template.BUILT
    built.parent.mkdir(parents=True)
    built.write_text("Resources: {}")
    with pytest.raises(CommandError, match="containers cannot reach the twin: start it on the address"):
        sam_template.write(target, {}, tmp_path, tmp_path / "sam.json")
    assert not (tmp_path / "sam.json").exists()
