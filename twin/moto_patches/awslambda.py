"""What the twin replaces in moto's Lambda."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.awslambda.responses:LambdaResponse.invoke",
        "twin.awslambda.api:invoke",
        "needs Docker, ignores qualifiers",
        "test_awslambda.py::test_a_published_version_keeps_its_code_and_is_called_by_its_qualifier",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction.__init__",
        "twin.awslambda.api:init_function",
        "drops LoggingConfig, takes any runtime",
        "test_awslambda.py::test_a_runtime_that_is_not_python_is_refused",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction.get_configuration",
        "twin.awslambda.api:get_configuration",
        "does not return LoggingConfig",
        "test_awslambda.py::test_logs_go_to_the_configured_group",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction.update_configuration",
        "twin.awslambda.api:update_configuration",
        "ignores half of the settings, knows no processes",
        "test_awslambda.py::test_a_changed_variable_reaches_the_next_call",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction.update_function_code",
        "twin.awslambda.api:update_function_code",
        "knows no processes",
        "test_awslambda.py::test_changed_code_ends_the_old_processes",
    ),
    Patch(
        "moto.awslambda.models:LambdaStorage.del_function",
        "twin.awslambda.api:delete_function",
        "knows no processes",
        "test_awslambda.py::test_deleting_a_function_ends_its_processes",
    ),
)
