"""What the twin replaces in and adds to moto's Service Quotas."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

_RESPONSE = "moto.servicequotas.responses:ServiceQuotasResponse"
_TWIN = "twin.servicequotas.quotas"

PATCHES = (
    Patch(
        f"{_RESPONSE}.get_service_quota",
        f"{_TWIN}:get_service_quota",
        "knows the quotas of VPC alone",
        "test_servicequotas.py::test_a_quota_is_read_by_its_code",
    ),
    Patch(
        f"{_RESPONSE}.list_aws_default_service_quotas",
        f"{_TWIN}:list_aws_default_service_quotas",
        "knows the quotas of VPC alone, has no pages",
        "test_servicequotas.py::test_the_quotas_of_a_service_are_listed_in_pages",
    ),
    Patch(
        f"{_RESPONSE}.list_service_quotas",
        f"{_TWIN}:list_service_quotas",
        "does not have it",
        "test_servicequotas.py::test_the_quotas_of_a_service_are_listed_in_pages",
        adds=True,
    ),
    Patch(
        f"{_RESPONSE}.get_aws_default_service_quota",
        f"{_TWIN}:get_aws_default_service_quota",
        "does not have it",
        "test_servicequotas.py::test_a_request_for_more_is_granted_at_once_and_one_for_less_is_refused",
        adds=True,
    ),
    Patch(
        f"{_RESPONSE}.request_service_quota_increase",
        f"{_TWIN}:request_service_quota_increase",
        "does not have it",
        "test_servicequotas.py::test_a_request_for_more_is_granted_at_once_and_one_for_less_is_refused",
        adds=True,
    ),
)
