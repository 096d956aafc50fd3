"""Service Quotas as AWS answers it, for SageMaker's instances and Lambda's concurrency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from usher.errors import code
from usher.runs.quotas import QuotaReader, quota_codes

Client = Callable[[str], Any]
TRAINING = "ml.m5.xlarge for training job usage"


@pytest.fixture
def quotas(client: Client) -> Any:
    return client("service-quotas")


def test_a_quota_is_read_by_its_code(quotas: Any) -> None:
    found = quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode=quota_codes()[TRAINING])["Quota"]
    assert (found["QuotaName"], found["Value"]) == (TRAINING, 100.0)
    for service, quota in (("sagemaker", "L-00000000"), ("moon", "L-00000000")):
        with pytest.raises(ClientError) as refused:
            quotas.get_service_quota(ServiceCode=service, QuotaCode=quota)
        assert code(refused.value) == "NoSuchResourceException"


def test_the_quotas_of_a_service_are_listed_in_pages(quotas: Any) -> None:
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        pages = list(quotas.get_paginator(operation).paginate(ServiceCode="sagemaker"))
        names = [quota["QuotaName"] for page in pages for quota in page["Quotas"]]
        assert len(pages) > 1
        assert len(names) == len(set(names))
        assert {TRAINING, "ml.c5.large for endpoint usage", "ml.m5.xlarge for processing job usage"} <= set(names)


def test_a_quota_without_a_known_code_is_found_by_its_name(quotas: Any) -> None:
    name = "ml.r5.xlarge for training job usage"
    assert name not in quota_codes()
    found = QuotaReader(quotas).find("sagemaker", name)
    assert found is not None
    assert found.value == 100.0
    assert QuotaReader(quotas).find("sagemaker", "ml.moon for training job usage") is None


def test_a_request_for_more_is_granted_at_once_and_one_for_less_is_refused(quotas: Any) -> None:
    quota = {"ServiceCode": "sagemaker", "QuotaCode": quota_codes()[TRAINING]}
    quotas.request_service_quota_increase(**quota, DesiredValue=120)
    assert quotas.get_service_quota(**quota)["Quota"]["Value"] == 120.0
    assert quotas.get_aws_default_service_quota(**quota)["Quota"]["Value"] == 100.0
    with pytest.raises(ClientError) as refused:
        quotas.request_service_quota_increase(**quota, DesiredValue=120)
    assert code(refused.value) == "IllegalArgumentException"
