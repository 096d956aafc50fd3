"""What a run needs of the account's service quotas, and a clear refusal when a quota is too low.

SageMaker answers a quota of 0 like a busy account (ResourceLimitExceeded), and the workflow would retry for an hour and
a half. Read with GetServiceQuota and, for a quota without an applied value, GetAWSDefaultServiceQuota; a quota whose
code is not known is found by its name in ListServiceQuotas.
https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from usher.errors import QuotaTooLow, code

SAGEMAKER = "sagemaker"
#: The most that a page may have; SageMaker has some thousands of quotas.
_PAGES = {"PageSize": 100}
#: Variants of the endpoint, each with one instance.
VARIANTS = 2
#: An update starts the whole new fleet before the old one ends.
FLEETS_IN_AN_UPDATE = 2


@dataclass(frozen=True, slots=True)
class QuotaNeed:
    """The value that Usher needs of one quota. purpose: what needs it. remedy: the parameters that lower the need."""

    name: str
    value: int
    purpose: str
    remedy: str
    service: str = SAGEMAKER


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota as the account has it. quota_code: for a request to raise it."""

    name: str
    quota_code: str
    value: float


@dataclass(frozen=True, slots=True)
class InstanceTypes:
    """The instance types of a deployment. hosting: empty when no endpoint serves."""

    processing: str
    training: str
    hosting: str = ""


def needs(types: InstanceTypes, trainings: int, *, updates_endpoint: bool) -> list[QuotaNeed]:
    """The quotas that a run uses.

    trainings: training jobs at once. updates_endpoint: an endpoint serves, so a second fleet stands beside it.
    """
    fewer = "set ParallelAlgorithms and ParallelTrials lower, or another TrainingInstanceType"
    instances = VARIANTS * (FLEETS_IN_AN_UPDATE if updates_endpoint else 1)
    fleet = "two variants, and a second fleet beside them during an update" if updates_endpoint else "two variants"
    found = [
        QuotaNeed(f"{types.training} for training job usage", trainings, "training and trials at once", fewer),
        QuotaNeed(f"{types.processing} for processing job usage", 1, "prepare and evaluate", _other("Processing")),
        QuotaNeed("Number of instances across all training jobs", trainings, "training and trials at once", fewer),
        QuotaNeed("Number of instances across all processing jobs", 1, "prepare and evaluate", _other("Processing")),
    ]
    if types.hosting:
        other = f"{_other('Hosting')}, or ServingBackend=function"
        found += [
            QuotaNeed(f"{types.hosting} for endpoint usage", instances, fleet, other),
            QuotaNeed("Number of instances across active endpoints", instances, fleet, "set ServingBackend=function"),
        ]
    return found


def _other(use: str) -> str:
    return f"set another {use}InstanceType"


def trainings_at_once(tuned: int, untuned: int, parallel_algorithms: int, parallel_trials: int) -> int:
    """Training jobs that run at once at most, when algorithms run beside each other and tuned ones try several."""
    jobs = sorted([parallel_trials] * tuned + [1] * untuned, reverse=True)
    return sum(jobs[:parallel_algorithms])


@functools.cache
def quota_codes() -> Mapping[str, str]:
    """Quota code by quota name, from quota_codes.json."""
    read = json.loads(Path(__file__).with_name("quota_codes.json").read_text(encoding="utf-8"))
    codes: Mapping[str, str] = read["codes"]
    return codes


@dataclass(slots=True)
class QuotaReader:
    """Reads quotas of the account and region of a Service Quotas client; a service's quotas are listed once at most.

    Methods raise ClientError or BotoCoreError when Service Quotas does not answer.
    """

    service_quotas: Any
    _listed: dict[tuple[str, str], dict[str, Quota]] = field(default_factory=dict)

    def find(self, service: str, name: str) -> Quota | None:
        """The quota of that name; None when the account and region have none."""
        known = quota_codes().get(name)
        quota = self._get(service, known) if known else None
        if quota is not None and quota.name == name:
            return quota
        for kind in ("applied", "default"):
            if (service, kind) not in self._listed:
                self._listed[service, kind] = _by_name(self._pages(service, kind))
            if name in self._listed[service, kind]:
                return self._listed[service, kind][name]
        return None

    def _pages(self, service: str, kind: str) -> Iterable[Mapping[str, Any]]:
        if kind == "applied":
            applied = self.service_quotas.get_paginator("list_service_quotas")
            return applied.paginate(ServiceCode=service, PaginationConfig=_PAGES)  # type: ignore[no-any-return]
        defaults = self.service_quotas.get_paginator("list_aws_default_service_quotas")
        return defaults.paginate(ServiceCode=service, PaginationConfig=_PAGES)  # type: ignore[no-any-return]

    def _get(self, service: str, quota_code: str) -> Quota | None:
        """The applied value, or the default of a quota that has none."""
        try:
            return _quota(self.service_quotas.get_service_quota(ServiceCode=service, QuotaCode=quota_code)["Quota"])
        except ClientError as error:
            if code(error) != "NoSuchResourceException":
                raise
        try:
            answer = self.service_quotas.get_aws_default_service_quota(ServiceCode=service, QuotaCode=quota_code)
        except ClientError as error:
            if code(error) != "NoSuchResourceException":
                raise
            return None
        return _quota(answer["Quota"])


def _by_name(pages: Iterable[Mapping[str, Any]]) -> dict[str, Quota]:
    quotas = (_quota(one) for page in pages for one in page["Quotas"])
    return {quota.name: quota for quota in quotas}


def _quota(answer: Mapping[str, Any]) -> Quota:
    return Quota(str(answer["QuotaName"]), str(answer["QuotaCode"]), float(answer["Value"]))


@dataclass(frozen=True, slots=True)
class QuotaCheck:
    """A need and what the account has in a region. quota: None when no quota of that name was found."""

    need: QuotaNeed
    quota: Quota | None
    region: str

    @property
    def too_low(self) -> bool:
        return self.quota is not None and self.quota.value < self.need.value

    @property
    def request(self) -> str:
        """The command that asks AWS for the value; empty without a quota."""
        if self.quota is None:
            return ""
        return (
            f"aws service-quotas request-service-quota-increase --service-code {self.need.service} "
            f"--quota-code {self.quota.quota_code} --desired-value {self.need.value} "
            f"--region {self.region}"
        )


def check(reader: QuotaReader, wanted: Sequence[QuotaNeed]) -> list[QuotaCheck]:
    """Each need beside the account's quota. Raises ClientError or BotoCoreError when Service Quotas does not answer."""
    region = reader.service_quotas.meta.region_name
    return [QuotaCheck(need, reader.find(need.service, need.name), region) for need in wanted]


def require(run_id: str, reader: QuotaReader, wanted: Sequence[QuotaNeed]) -> list[str]:
    """Raise QuotaTooLow naming every quota that is too low for a run; else return warnings.

    Quotas that cannot be read do not stop a run: the role may lack the permission, and SageMaker itself still decides.
    """
    try:
        checks = check(reader, wanted)
    except (ClientError, BotoCoreError) as error:
        return [f"the service quotas could not be read ({type(error).__name__}: {error}): the run starts unchecked"]
    low = [one for one in checks if one.too_low]
    if low:
        raise QuotaTooLow(f"run {run_id} needs more than the account's service quotas allow: {_words(low)}")
    return [f"the account has no quota named {one.need.name!r}" for one in checks if one.quota is None]


def _words(low: Sequence[QuotaCheck]) -> str:
    return "; ".join(
        f"{one.need.name!r} ({one.quota.quota_code}) is {one.quota.value:g} and must be at least "
        f"{one.need.value} for {one.need.purpose}: request it with `{one.request}`, or {one.need.remedy}"
        for one in low
        if one.quota is not None
    )
