"""Service quotas of SageMaker: a job or an endpoint over a quota is refused as AWS refuses it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from twin import context
from usher.errors import code
from usher.runs.quotas import quota_codes

if TYPE_CHECKING:
    from tests.contract.sagemaker.conftest import Lab

TRAINING, ENDPOINT = "ml.m5.large for training job usage", "ml.m5.large for endpoint usage"
SLOW = {"epochs": "100", "pause": "0.5"}


@pytest.fixture
def new_account(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The lab in an account that has requested nothing."""
    monkeypatch.setattr(context, "_current", replace(context.current(), new_account=True))
    return lab


def request(lab: Lab, name: str, value: int) -> None:
    lab.client("service-quotas").request_service_quota_increase(
        ServiceCode="sagemaker", QuotaCode=quota_codes()[name], DesiredValue=value
    )


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as found:
        call(**request)
    assert code(found.value) == "ResourceLimitExceeded"
    return str(found.value)


def test_a_new_account_may_start_nothing_until_its_quota_is_raised(new_account: Lab) -> None:
    sagemaker = new_account.sagemaker
    words = refused(sagemaker.create_training_job, **new_account.training("first", SLOW))
    assert f"The account-level service limit '{TRAINING}' is 0 Instances" in words
    assert "current utilization of 0 Instances and a request delta of 1 Instances" in words
    request(new_account, TRAINING, 1)
    sagemaker.create_training_job(**new_account.training("first", SLOW))
    words = refused(sagemaker.create_training_job, **new_account.training("second", SLOW))
    assert "is 1 Instances, with current utilization of 1 Instances" in words
    sagemaker.stop_training_job(TrainingJobName="first")
    new_account.trained("first")
    sagemaker.create_training_job(**new_account.training("third", {"epochs": "1"}))
    assert new_account.trained("third")["TrainingJobStatus"] == "Completed"


def test_an_update_needs_a_second_fleet(new_account: Lab) -> None:
    new_account.model("one")
    new_account.config("first", A=("one", 1.0), B=("one", 0.0))
    create = {"EndpointName": "shop", "EndpointConfigName": "first"}
    assert "a request delta of 2 Instances" in refused(new_account.sagemaker.create_endpoint, **create)
    request(new_account, ENDPOINT, 3)
    new_account.sagemaker.create_endpoint(**create)
    assert new_account.endpoint()["EndpointStatus"] == "InService"
    words = refused(new_account.sagemaker.update_endpoint, **create)
    assert f"'{ENDPOINT}' is 3 Instances, with current utilization of 2 Instances" in words
    request(new_account, ENDPOINT, 4)
    new_account.sagemaker.update_endpoint(**create)
    assert new_account.endpoint()["EndpointStatus"] == "InService"
