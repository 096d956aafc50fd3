"""The quotas that the twin knows, with their values; a request for more is granted at once.

moto answers Service Quotas for VPC alone. SageMaker's quotas follow from botocore's instance types. Codes are those of
`usher.runs.quotas`; a quota without a known code gets one from its name.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.servicequotas.models import servicequotas_backends

from twin import context
from twin.sagemaker.validation import model
from usher.runs.quotas import quota_codes

#: Use in a quota's name → SageMaker's shape with its instance types.
_USES = {
    "training job": "TrainingInstanceType",
    "processing job": "ProcessingInstanceType",
    "endpoint": "ProductionVariantInstanceType",
}
_TOTALS = (
    "Number of instances across all training jobs",
    "Number of instances across all processing jobs",
    "Number of instances across active endpoints",
)
#: AWS's default for Lambda; what new accounts report.
LAMBDA_CONCURRENCY, NEW_LAMBDA_CONCURRENCY = 1000.0, 10.0
#: Enough for any test. New accounts report 0 for most instance types, and small totals.
INSTANCES, NEW_INSTANCES, NEW_TOTAL = 100.0, 0.0, 20.0
PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Known:
    """A quota. value: in an account that suffices. new: in a new account."""

    service: str
    name: str
    value: float
    new: float

    @property
    def code(self) -> str:
        known = quota_codes().get(self.name)
        return known or "L-" + hashlib.sha256(f"{self.service}/{self.name}".encode()).hexdigest()[:8].upper()


@functools.cache
def known_quotas() -> dict[str, dict[str, Known]]:
    """Service → code → quota."""
    found: dict[str, dict[str, Known]] = {}
    for quota in _all():
        found.setdefault(quota.service, {})[quota.code] = quota
    return found


def _all() -> Iterator[Known]:
    for use, shape in _USES.items():
        types: Any = model().shape_for(shape)
        for instance_type in types.enum:
            yield Known("sagemaker", f"{instance_type} for {use} usage", INSTANCES, NEW_INSTANCES)
    for name in _TOTALS:
        yield Known("sagemaker", name, INSTANCES, NEW_TOTAL)
    yield Known("lambda", "Concurrent executions", LAMBDA_CONCURRENCY, NEW_LAMBDA_CONCURRENCY)


def granted(backend: Any) -> dict[tuple[str, str], float]:
    """What was requested in this account and region since the last reset: (service, code) → value."""
    values: dict[tuple[str, str], float] = backend.__dict__.setdefault("twin_granted", {})
    return values


def value_of(backend: Any, quota: Known) -> float:
    """The applied value of a quota."""
    default = quota.new if context.current().new_account else quota.value
    return granted(backend).get((quota.service, quota.code), default)


def applied(account: str, region: str, service: str, name: str) -> float | None:
    """The applied value of the quota of that name; None for a name without a quota."""
    quota = _by_name(service).get(name)
    return None if quota is None else value_of(servicequotas_backends[account][region], quota)


@functools.cache
def _by_name(service: str) -> dict[str, Known]:
    return {quota.name: quota for quota in known_quotas()[service].values()}


def get_service_quota(self: Any) -> str:
    """ServiceQuotasResponse.get_service_quota: the applied value."""
    return json.dumps({"Quota": _described(self, _asked(self), applied=True)})


def get_aws_default_service_quota(self: Any) -> str:
    """GetAWSDefaultServiceQuota: the value without any request."""
    return json.dumps({"Quota": _described(self, _asked(self), applied=False)})


def list_service_quotas(self: Any) -> str:
    """ListServiceQuotas, in pages."""
    return _page(self, applied=True)


def list_aws_default_service_quotas(self: Any) -> str:
    """ServiceQuotasResponse.list_aws_default_service_quotas, in pages."""
    return _page(self, applied=False)


def request_service_quota_increase(self: Any) -> str:
    """RequestServiceQuotaIncrease, granted at once; a value that is not higher is refused as on AWS."""
    given, quota = json.loads(self.body), _asked(self)
    desired = float(given["DesiredValue"])
    if desired <= value_of(self.backend, quota):
        raise JsonRESTError(
            "IllegalArgumentException", "You must provide a quota value greater than the current quota value"
        )
    granted(self.backend)[quota.service, quota.code] = desired
    asked = {"ServiceCode": quota.service, "QuotaCode": quota.code, "QuotaName": quota.name, "DesiredValue": desired}
    return json.dumps({"RequestedQuota": {"Id": f"request-{quota.code}", "Status": "APPROVED", **asked}})


def _asked(self: Any) -> Known:
    given = json.loads(self.body)
    quotas = _service(given)
    if given["QuotaCode"] not in quotas:
        raise JsonRESTError("NoSuchResourceException", "The request failed because the specified quota does not exist.")
    return quotas[given["QuotaCode"]]


def _service(given: dict[str, Any]) -> dict[str, Known]:
    quotas = known_quotas().get(given["ServiceCode"])
    if quotas is None:
        raise JsonRESTError("NoSuchResourceException", f"The twin knows no quotas of {given['ServiceCode']}.")
    return quotas


def _page(self: Any, *, applied: bool) -> str:
    given = json.loads(self.body)
    quotas = list(_service(given).values())
    start, size = int(given.get("NextToken") or 0), int(given.get("MaxResults") or PAGE_SIZE)
    answer: dict[str, Any] = {
        "Quotas": [_described(self, quota, applied=applied) for quota in quotas[start : start + size]]
    }
    if start + size < len(quotas):
        answer["NextToken"] = str(start + size)
    return json.dumps(answer)


def _described(self: Any, quota: Known, *, applied: bool) -> dict[str, Any]:
    region, account = self.region, self.current_account
    return {
        "ServiceCode": quota.service,
        "ServiceName": {"sagemaker": "Amazon SageMaker", "lambda": "AWS Lambda"}[quota.service],
        "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:{quota.service}/{quota.code}",
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": value_of(self.backend, quota) if applied else quota.value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
