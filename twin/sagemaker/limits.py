"""Refuses jobs and endpoints over the account's service quotas, as SageMaker does."""

from __future__ import annotations

from collections.abc import Iterable

from twin.sagemaker.account import Account
from twin.sagemaker.errors import Refused
from twin.servicequotas import quotas


def check(account: Account, use: str, instance_type: str, running: Iterable[str], more: int = 1) -> None:
    """Raise Refused with ResourceLimitExceeded when `more` instances of a type are over its quota.

    use: as in the quota's name, such as "training job". running: the types of the instances that run for that use.
    """
    name = f"{instance_type} for {use} usage"
    limit = quotas.applied(account.account, account.region, "sagemaker", name)
    used = sum(one == instance_type for one in running)
    if limit is not None and used + more > limit:
        raise Refused(
            "ResourceLimitExceeded",
            f"The account-level service limit '{name}' is {limit:g} Instances, with current utilization of {used} "
            f"Instances and a request delta of {more} Instances. Please use AWS Service Quotas to request an increase "
            "for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase for "
            "this quota.",
        )
