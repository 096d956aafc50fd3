"""What the twin replaces in moto's CloudFormation."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.cloudformation.models:cloudformation_backends.backend",
        "twin.cloudformation.backend:CloudFormationBackend",
        "skips types and properties it does not know; no roll-back, no SAM transform, updates that miss changes",
        "test_cloudformation.py::test_an_unknown_property_fails_the_stack_and_rolls_it_back",
    ),
    Patch(
        "moto.cloudformation.responses:CloudFormationResponse._get_stack_from_s3_url",
        "twin.cloudformation.backend:template_at",
        "wants the bucket in the host name",
        "test_cloudformation.py::test_a_template_may_lie_in_a_bucket",
    ),
    Patch(
        "moto.cloudformation.responses:get_template_summary_response_from_template",
        "twin.cloudformation.backend:summary",
        "reads YAML with a loader that can run code",
        "test_cloudformation.py::test_a_template_cannot_run_code_when_it_is_summarised",
    ),
    Patch(
        "moto.cloudformation.responses:CloudFormationResponse.validate_template",
        "twin.cloudformation.backend:validate_template",
        "names neither parameters nor transforms, reads YAML with a loader that can run code",
        "test_cloudformation.py::test_validating_a_template_names_its_parameters",
    ),
    Patch(
        "moto.cloudformation.responses:CloudFormationResponse.create_change_set",
        "twin.cloudformation.backend:create_change_set",
        "imports no existing resources",
        "test_cloudformation_import.py::test_a_new_stack_takes_over_what_an_older_one_has_kept",
    ),
    Patch(
        "moto.cloudformation.responses:CloudFormationResponse.list_stack_resources",
        "twin.cloudformation.backend:list_stack_resources",
        "returns CREATE_COMPLETE for every resource",
        "test_cloudformation.py::test_resources_are_listed_with_their_own_status",
    ),
    Patch(
        "moto.cloudformation.responses:StackResourceDTO",
        "twin.cloudformation.backend:StackResource",
        "gives every resource the status of its stack",
        "test_cloudformation.py::test_resources_are_described_with_their_own_status",
    ),
)
