"""Names that the stack derives, held against the services' patterns and lengths."""

from __future__ import annotations

import pytest

from cli.costs.stack import read_template
from cli.preflight.names import check_names, resolve

TEMPLATE = read_template()
DEFAULTS = {name: str(one.get("Default", "")) for name, one in TEMPLATE["Parameters"].items()}


def details(stack_name: str = "usher", **given: str) -> list[str]:
    return [one.detail for one in check_names(TEMPLATE, {**DEFAULTS, **given}, stack_name) if one.state == "refused"]


def test_the_defaults_are_fine() -> None:
    (finding,) = check_names(TEMPLATE, DEFAULTS, "usher")
    assert finding.state == "fine"
    assert int(finding.detail.split()[0]) > 15  # alarms, streams, workflows, repository …


@pytest.mark.parametrize(
    ("stack_name", "given", "words"),
    [
        ("my_stack", {}, "is not a stack name"),
        ("1st", {}, "is not a stack name"),
        ("u" * 60, {}, "AWS::KinesisFirehose::DeliveryStream"),
        ("u" * 64, {}, "78 characters, 64 are allowed"),
        ("usher", {"DatabaseName": "_lake"}, "AWS::ECR::Repository '_lake/usher-recommender' does not match"),
        ("usher", {"DatabaseName": "la___ke"}, "AWS::ECR::Repository"),
        ("usher", {"EndpointName": "a" * 64}, "AWS::SageMaker::ModelPackageGroup"),
        (
            "usher",
            {"EndpointName": "Shop"},
            "AWS::SageMaker::ModelPackageGroup 'Shop' has capitals: SageMaker lowers them in ARNs",
        ),
    ],
)
def test_a_name_that_a_service_refuses_is_told(stack_name: str, given: dict[str, str], words: str) -> None:
    found = details(stack_name, **given)
    assert any(words in detail for detail in found), found


def test_names_that_only_the_deployed_stack_knows_are_left_out() -> None:
    assert resolve({"Fn::Sub": "${Table.Arn}-a"}, {}) is None
    assert resolve({"Fn::Sub": "${AWS::StackName}-a"}, {"AWS::StackName": "s"}) == "s-a"
    assert resolve({"Ref": "Other"}, {}) is None
    assert resolve("plain", {}) == "plain"
    assert resolve({"Fn::If": []}, {}) is None
