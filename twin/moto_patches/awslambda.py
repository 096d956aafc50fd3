"""What the twin replaces in moto's Lambda."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.awslambda.responses:LambdaResponse.invoke",
        "twin.awslambda.invoke:invoke_api",
        "needs Docker, ignores qualifiers, runs events inside the request",
        "test_awslambda.py::test_a_published_version_keeps_its_code_and_is_called_by_its_qualifier",
    ),
    Patch(
        "moto.awslambda.responses:LambdaResponse.invoke_async",
        "twin.awslambda.invoke:invoke_async_api",
        "runs the function inside the request",
        "test_awslambda.py::test_the_old_asynchronous_api_takes_an_event",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction.invoke",
        "twin.awslambda.invoke:invoke_function",
        "runs events of S3, SNS and Logs inside the sender's request",
        "test_awslambda.py::test_an_object_in_a_bucket_invokes_its_function_in_the_background",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction._invoke_lambda",
        "twin.awslambda.invoke:invoke_lambda",
        "needs Docker",
        "test_awslambda.py::test_what_moto_calls_runs_the_real_function",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction.__init__",
        "twin.awslambda.configuration:init_function",
        "drops LoggingConfig and DeadLetterConfig, takes any runtime",
        "test_awslambda.py::test_a_runtime_that_is_not_python_is_refused",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction.get_configuration",
        "twin.awslambda.configuration:get_configuration",
        "does not show them either",
        "test_awslambda.py::test_logs_go_to_the_configured_group",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction.update_configuration",
        "twin.awslambda.configuration:update_configuration",
        "ignores half of the settings, knows no processes",
        "test_awslambda.py::test_a_changed_variable_reaches_the_next_call",
    ),
    Patch(
        "moto.awslambda.models:LambdaFunction.update_function_code",
        "twin.awslambda.configuration:update_function_code",
        "knows no processes",
        "test_awslambda.py::test_changed_code_ends_the_old_processes",
    ),
    Patch(
        "moto.awslambda.models:LambdaStorage.del_function",
        "twin.awslambda.configuration:delete_function",
        "knows no processes",
        "test_awslambda.py::test_deleting_a_function_ends_its_processes",
    ),
    Patch(
        "moto.awslambda.models:LambdaBackend.put_function_event_invoke_config",
        "twin.awslambda.configuration:put_function_event_invoke_config",
        "keeps the first configuration for ever",
        "test_awslambda.py::test_the_newest_retry_settings_count",
    ),
    Patch(
        "moto.sns.models:Subscription.publish",
        "twin.awslambda.notifications:publish",
        "sends functions an example instead of the message's ids, topic and attributes",
        "test_awslambda.py::test_a_topics_message_reaches_its_function_as_sns_wraps_it",
    ),
)
