"""What the twin replaces in moto's IAM."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.iam.models:IAMBackend.attach_role_policy",
        "twin.iam.managed_policies:attach_role_policy",
        "knows none of AWS's managed policies",
        "test_cloudformation.py::test_a_role_may_have_policies_of_awss_own",
    ),
)
