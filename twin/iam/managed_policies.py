"""AWS's managed policies exist, as on AWS; moto has them only when all are loaded at its start, for half a second."""

from __future__ import annotations

import functools
import json
from typing import Any

from twin.moto_patches.registry import original

_AWS = ":iam::aws:policy/"


def attach_role_policy(self: Any, policy_arn: str, role_name: str) -> None:
    """Attach a policy to a role, and make one of AWS's own the first time that it is asked for."""
    from moto.iam.models import AWSManagedPolicy  # noqa: PLC0415 - the import is circular

    if _AWS in policy_arn and policy_arn not in self.managed_policies and policy_arn in catalog():
        name, described = catalog()[policy_arn]
        policy = AWSManagedPolicy.from_data(name, self.account_id, self.region_name, described)
        self.managed_policies[policy_arn] = policy
        self.aws_managed_policies.append(policy)
    original("moto.iam.models:IAMBackend.attach_role_policy")(self, policy_arn, role_name)


@functools.cache
def catalog() -> dict[str, tuple[str, dict[str, Any]]]:
    """AWS's managed policies by ARN: name, and what moto knows of it."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data  # noqa: PLC0415 - 5 MB of text

    policies = json.loads(aws_managed_policies_data).items()
    return {f"arn:aws:iam::aws:policy{described['Path']}{name}": (name, described) for name, described in policies}
