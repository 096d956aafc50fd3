"""What a run needs of the service quotas; a run over them is refused with name, code and value."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from usher.errors import QuotaTooLow
from usher.runs import quotas
from usher.runs.quotas import InstanceTypes, QuotaNeed, QuotaReader, needs, quota_codes, require, trainings_at_once

TYPES = InstanceTypes("ml.m5.xlarge", "ml.m5.xlarge", "ml.c5.large")
TRAINING = "ml.m5.xlarge for training job usage"
UNKNOWN = "ml.r5.xlarge for training job usage"
SIX = QuotaNeed(TRAINING, 6, "training and trials at once", "set ParallelTrials lower")


@pytest.fixture
def service() -> Any:
    return boto3.client("service-quotas", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


def stubbed(client: Any, *answers: tuple[str, Any]) -> Stubber:
    """The client answers so, one call after another: a dictionary, or an error code."""
    stub = Stubber(client)
    for operation, answer in answers:
        if isinstance(answer, str):
            stub.add_client_error(operation, answer)
        else:
            stub.add_response(operation, answer)
    stub.activate()
    return stub


def quota(name: str, value: float, code: str = "") -> dict[str, Any]:
    return {"QuotaName": name, "QuotaCode": code or quota_codes()[name], "Value": value}


def test_what_a_run_needs_by_quota() -> None:
    found = {need.name: need.value for need in needs(TYPES, 6, updates_endpoint=False)}
    assert found == {
        TRAINING: 6,
        "ml.m5.xlarge for processing job usage": 1,
        "ml.c5.large for endpoint usage": 2,
        "Number of instances across all training jobs": 6,
        "Number of instances across all processing jobs": 1,
        "Number of instances across active endpoints": 2,
    }


def test_an_update_of_the_endpoint_needs_a_second_fleet_and_the_function_none() -> None:
    update = {need.name: need.value for need in needs(TYPES, 1, updates_endpoint=True)}
    assert update["ml.c5.large for endpoint usage"] == 4
    without = needs(InstanceTypes("ml.m5.xlarge", "ml.m5.xlarge"), 1, updates_endpoint=True)
    assert not [need for need in without if "endpoint" in need.name]


@pytest.mark.parametrize(
    ("tuned", "untuned", "algorithms", "trials", "expected"),
    [(3, 0, 3, 2, 6), (3, 0, 1, 2, 2), (0, 3, 3, 2, 3), (1, 2, 2, 4, 5), (2, 0, 3, 1, 2)],
)
def test_trainings_at_once(tuned: int, untuned: int, algorithms: int, trials: int, expected: int) -> None:
    assert trainings_at_once(tuned, untuned, algorithms, trials) == expected


def test_a_quota_that_is_too_low_is_named_with_code_value_and_the_request(service: Any) -> None:
    with stubbed(service, ("get_service_quota", {"Quota": quota(TRAINING, 0)})), pytest.raises(QuotaTooLow) as refused:
        require("r1-1", QuotaReader(service), [SIX])
    words = str(refused.value)
    assert f"run r1-1 needs more than the account's service quotas allow: '{TRAINING}' (L-CCE2AFA6) is 0" in words
    assert "is 0 and must be at least 6 for training and trials at once" in words
    assert "request-service-quota-increase --service-code sagemaker --quota-code L-CCE2AFA6 --desired-value 6 " in words
    assert "--region eu-west-1`, or set ParallelTrials lower" in words


def test_a_quota_that_suffices_exactly_raises_nothing(service: Any) -> None:
    with stubbed(service, ("get_service_quota", {"Quota": quota(TRAINING, 6)})):
        assert require("r1-1", QuotaReader(service), [SIX]) == []


def test_a_quota_without_an_applied_value_has_its_default(service: Any) -> None:
    answers = (
        ("get_service_quota", "NoSuchResourceException"),
        ("get_aws_default_service_quota", {"Quota": quota(TRAINING, 30)}),
    )
    with stubbed(service, *answers) as stub:
        found = QuotaReader(service).find("sagemaker", TRAINING)
        stub.assert_no_pending_responses()
    assert found is not None and found.value == 30


def test_a_quota_without_a_known_code_is_found_by_name_and_listed_once(service: Any) -> None:
    page = {"Quotas": [quota("another", 1, "L-1"), quota(UNKNOWN, 7, "L-2")]}
    with stubbed(service, ("list_service_quotas", page)) as stub:
        reader = QuotaReader(service)
        for name, value in ((UNKNOWN, 7), ("another", 1), (UNKNOWN, 7)):
            found = reader.find("sagemaker", name)
            assert found is not None and found.value == value
        stub.assert_no_pending_responses()


def test_a_known_code_that_names_another_quota_is_not_believed(service: Any) -> None:
    answers = (
        ("get_service_quota", {"Quota": quota("something else", 99, "L-CCE2AFA6")}),
        ("list_service_quotas", {"Quotas": []}),
        ("list_aws_default_service_quotas", {"Quotas": [quota(TRAINING, 5, "L-NEW")]}),
    )
    with stubbed(service, *answers), pytest.raises(QuotaTooLow, match=r"\(L-NEW\) is 5"):
        require("r1-1", QuotaReader(service), [SIX])


@pytest.mark.parametrize("fault", ["AccessDeniedException", "TooManyRequestsException"])
def test_quotas_that_cannot_be_read_warn_and_do_not_stop_the_run(service: Any, fault: str) -> None:
    with stubbed(service, ("get_service_quota", fault)):
        (warning,) = require("r1-1", QuotaReader(service), [SIX])
    assert "the service quotas could not be read" in warning and fault in warning
    assert "the run starts unchecked" in warning


def test_an_unreachable_endpoint_warns_too() -> None:
    once = Config(retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu-west-1"}
    client = boto3.client("service-quotas", endpoint_url="http://127.0.0.1:9", config=once, **keys)
    (warning,) = require("r1-1", QuotaReader(client), [SIX])
    assert "EndpointConnectionError" in warning


def test_a_quota_that_the_account_does_not_have_warns(service: Any) -> None:
    empty = {"Quotas": []}
    with stubbed(service, ("list_service_quotas", empty), ("list_aws_default_service_quotas", empty)):
        (warning,) = require("r1-1", QuotaReader(service), [QuotaNeed(UNKNOWN, 1, "x", "y")])
    assert warning == f"the account has no quota named '{UNKNOWN}'"


def test_the_default_instance_types_have_known_codes_so_that_a_run_makes_six_calls() -> None:
    assert {need.name for need in needs(TYPES, 6, updates_endpoint=True)} <= set(quotas.quota_codes())
