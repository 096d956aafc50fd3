"""AWS's own managed policies, as moto carries them: what AWS accepts is refused for a few known reasons only."""

from __future__ import annotations

import json
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data

from twin.iam.documents import identity_policy
from twin.iam.keys import PolicyError

#: Policies that the twin refuses for another reason than a key that no call on it carries.
REFUSED = {
    "AmazonDevOpsGuruOrganizationsAccess": "is not an ARN",  # an ARN without a resource
    "AmazonTimestreamInfluxDBServiceRolePolicy": "has a policy variable before its fifth colon",
}


def test_the_managed_policies_are_understood_but_for_keys_that_no_call_carries() -> None:
    found: dict[str, Any] = json.loads(aws_managed_policies_data)
    understood, refused = 0, {}
    for name, policy in found.items():
        try:
            identity_policy(name, policy["Document"])
            understood += 1
        except PolicyError as error:
            if not error.problem.startswith(("unknown condition key ", "unknown policy variable ")):
                refused[name] = error.problem
    assert set(refused) <= set(REFUSED) and all(REFUSED[name] in problem for name, problem in refused.items()), refused
    assert understood > 1000
