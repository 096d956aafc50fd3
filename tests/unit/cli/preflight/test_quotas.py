"""The quotas of a deployment: too few instances are refused, too little concurrency is a warning."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from cli.costs.stack import read_template
from cli.preflight.quotas import FOR_THE_API, check_quotas, queue_concurrency
from cli.target import Target
from usher.runs.quotas import quota_codes

TEMPLATE = read_template()
VALUES = {name: str(one.get("Default", "")) for name, one in TEMPLATE["Parameters"].items()}
POLLED = queue_concurrency(TEMPLATE, VALUES)


@pytest.fixture
def target(stack: Target) -> Target:
    return stack


def answers(stub: Stubber, **values: float) -> None:
    """What the account has of each quota that the defaults need, in the order of the checks."""
    for name in (
        "ml.m5.xlarge for training job usage",
        "ml.m5.xlarge for processing job usage",
        "Number of instances across all training jobs",
        "Number of instances across all processing jobs",
        "ml.c5.large for endpoint usage",
        "Number of instances across active endpoints",
        "Concurrent executions",
    ):
        value = values.get(name.split()[0].replace("ml.", "").replace(".", "_"), 1000.0)
        quota: Any = {"QuotaName": name, "QuotaCode": quota_codes()[name], "Value": value}
        stub.add_response("get_service_quota", {"Quota": quota})


def test_an_account_with_enough_is_fine(target: Target) -> None:
    with Stubber(target.client("service-quotas")) as stub:
        answers(stub)
        assert {one.state for one in check_quotas(target, TEMPLATE, VALUES)} == {"fine"}


def test_too_few_instances_are_refused_with_the_request_and_the_region(target: Target) -> None:
    with Stubber(target.client("service-quotas")) as stub:
        answers(stub, c5_large=3)
        (finding,) = [one for one in check_quotas(target, TEMPLATE, VALUES) if one.state != "fine"]
    assert finding.state == "refused"
    assert "ml.c5.large for endpoint usage (L-4D27DFDD) is 3, needed: 4 (" in finding.detail
    assert finding.remedy.endswith("--quota-code L-4D27DFDD --desired-value 4 --region eu-west-1")


def test_the_concurrency_of_a_new_account_is_a_warning(target: Target) -> None:
    with Stubber(target.client("service-quotas")) as stub:
        answers(stub, Concurrent=10)
        (finding,) = [one for one in check_quotas(target, TEMPLATE, VALUES) if one.state != "fine"]
    assert finding.state == "warning"
    assert f"is 10, needed: {POLLED + FOR_THE_API} ({POLLED} for queues" in finding.detail


def test_the_queues_take_what_template_and_parameters_say() -> None:
    more = queue_concurrency(TEMPLATE, {**VALUES, "IngestConcurrency": "12"})
    assert more - POLLED == 12 - int(VALUES["IngestConcurrency"])
    assert queue_concurrency({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}, {}) == 0
