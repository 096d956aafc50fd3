"""Every symbol of moto that the twin replaces or adds, with the reason and the contract test that holds it.

moto is pinned. tests/contract/ turns red when a patch no longer fits the pinned version: `symbol` is gone (or, for an
addition, has appeared), or what the patch makes real stopped working.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Patch:
    """One replaced symbol.

    symbol:      `module:attribute.path` in moto.
    replacement: `module:attribute` in the twin.
    reason:      what moto does, or does not do.
    contract:    the test in tests/contract/ that shows the replaced behaviour, `file.py::test_name`.
    adds:        the symbol does not exist in moto.
    """

    symbol: str
    replacement: str
    reason: str
    contract: str
    adds: bool = False


#: Where moto keeps its interpreter of the Amazon States Language.
_ASL = "moto.stepfunctions.parser.asl."

PATCHES: tuple[Patch, ...] = (
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
        "moto.athena.responses:AthenaResponse.start_query_execution",
        "twin.athena.responses:start_query_execution",
        "moto runs no query",
        "test_athena.py::test_a_query_returns_what_the_table_holds",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.get_query_execution",
        "twin.athena.responses:get_query_execution",
        "moto knows no failure, no reason, no statistics",
        "test_athena.py::test_a_failed_query_says_why",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.get_query_results",
        "twin.athena.responses:get_query_results",
        "moto answers with canned rows and has no pages",
        "test_athena.py::test_results_come_in_pages_and_nothing_is_lost",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.stop_query_execution",
        "twin.athena.responses:stop_query_execution",
        "moto stops nothing",
        "test_athena.py::test_a_running_query_is_stopped",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.list_query_executions",
        "twin.athena.responses:list_query_executions",
        "moto lists its own executions",
        "test_athena.py::test_executions_are_listed_the_newest_first",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.get_query_runtime_statistics",
        "twin.athena.responses:get_query_runtime_statistics",
        "moto answers with constants",
        "test_athena.py::test_runtime_statistics_count_the_rows",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.batch_get_query_execution",
        "twin.athena.responses:batch_get_query_execution",
        "moto has no such action",
        "test_athena.py::test_many_executions_are_described_at_once",
        adds=True,
    ),
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
        "moto.cloudformation.responses:CloudFormationResponse.list_stack_resources",
        "twin.cloudformation.backend:list_stack_resources",
        "says CREATE_COMPLETE of every resource",
        "test_cloudformation.py::test_resources_are_listed_with_their_own_status",
    ),
    Patch(
        "moto.cloudformation.responses:StackResourceDTO",
        "twin.cloudformation.backend:StackResource",
        "gives every resource the status of its stack",
        "test_cloudformation.py::test_resources_are_described_with_their_own_status",
    ),
    Patch(
        "moto.dynamodb.responses:DynamoHandler.call_action",
        "twin.dynamodb.atomic:call_action",
        "reads and writes an item in steps that other threads come between",
        "test_dynamodb.py::test_of_many_updates_of_one_item_at_once_none_is_lost",
    ),
    Patch(
        "moto.dynamodb.models.table:Table.query",
        "twin.dynamodb.partitions:query",
        "sorts the whole table for each Query",
        "test_dynamodb.py::test_a_query_looks_at_its_own_partition_alone",
    ),
    Patch(
        "moto.core.serialize:BaseJSONSerializer._serialize_type_structure",
        "twin.dynamodb.answers:serialize_type_structure",
        "writes each value of an item anew, half a second for the popularity lists",
        "test_dynamodb.py::test_an_item_goes_out_as_it_came_in_and_costs_no_call_for_each_value",
    ),
    Patch(
        "moto.dynamodb.models:DynamoDBBackend.transact_write_items",
        "twin.dynamodb.transactions:transact_write_items",
        "copies the whole table for each write of a transaction",
        "test_dynamodb_transactions.py::test_a_transaction_looks_at_the_items_that_it_names_alone",
    ),
    Patch(
        "moto.sqs.models:Queue.add_message",
        "twin.sqs.queues:add_message",
        "runs functions inside SendMessage, one message at a time",
        "test_sqs_sources.py::test_a_record_looks_as_awss",
    ),
    Patch(
        "moto.sqs.models:Queue.delete_message",
        "twin.sqs.queues:delete_message",
        "takes no lock: a message that arrives meanwhile can get lost",
        "test_sqs_sources.py::test_a_delete_waits_for_who_works_on_the_queue",
    ),
    Patch(
        "moto.sqs.models:SQSBackend.receive_message",
        "twin.sqs.queues:receive_message",
        "gives one message to two consumers, looks once a second",
        "test_sqs_sources.py::test_two_consumers_do_not_get_the_same_message",
    ),
    Patch(
        "moto.sqs.models:SQSBackend.change_message_visibility",
        "twin.sqs.queues:change_message_visibility",
        "does not wake who waits",
        "test_sqs_sources.py::test_a_message_that_is_given_back_wakes_who_waits",
    ),
    Patch(
        "moto.sqs.models:Message.change_visibility",
        "twin.sqs.queues:change_visibility",
        "real seconds",
        "test_sqs_sources.py::test_a_visibility_timeout_runs_on_the_scaled_clock",
    ),
    Patch(
        "moto.sqs.models:Message.delay",
        "twin.sqs.queues:delay",
        "real seconds",
        "test_sqs_sources.py::test_a_delay_runs_on_the_scaled_clock",
    ),
    Patch(
        "moto.awslambda.models:LambdaBackend.create_event_source_mapping",
        "twin.sqs.mappings:create_event_source_mapping",
        "takes what cannot work, polls no stream",
        "test_sqs_sources.py::test_a_mapping_that_cannot_work_is_refused",
    ),
    Patch(
        "moto.awslambda.models:LambdaBackend.update_event_source_mapping",
        "twin.sqs.mappings:update_event_source_mapping",
        "takes what cannot work",
        "test_sqs_sources.py::test_an_update_that_cannot_work_is_refused",
    ),
    Patch(
        "moto.firehose.models:firehose_backends.backend",
        "twin.firehose.backend:Backend",
        "writes each put to S3 at once, without buffer, transformation, compression and error output",
        "test_firehose.py::test_records_are_transformed_and_delivered_together",
    ),
    Patch(
        "moto.firehose.responses:FirehoseResponse.setup_class",
        "twin.firehose.api:setup_class",
        "reads half a megabyte of records three times, once as a form",
        "test_firehose.py::test_a_put_is_read_as_it_is",
    ),
    Patch(
        "moto.firehose.responses:FirehoseResponse.put_record",
        "twin.firehose.api:put_record",
        "checks no limit, throttles never",
        "test_firehose.py::test_a_record_over_the_limit_is_refused",
    ),
    Patch(
        "moto.firehose.responses:FirehoseResponse.put_record_batch",
        "twin.firehose.api:put_record_batch",
        "checks no limit, knows no partial failure",
        "test_firehose.py::test_a_share_of_a_batch_fails_when_that_is_asked_for",
    ),
    Patch(
        "moto.moto_server.werkzeug_app:DomainDispatcherApplication.get_backend_for_host",
        "twin.requests:backend_for_host",
        "lists its own folder twice for each request",
        "test_requests.py::test_the_service_of_a_host_is_found_once",
    ),
    Patch(
        "moto.glue.responses:GlueResponse.update_table",
        "twin.glue.versions:update_table",
        "ignores VersionId, so concurrent Iceberg commits overwrite each other",
        "test_glue_versions.py::test_of_many_updates_of_one_version_at_once_one_succeeds",
    ),
    Patch(
        "moto.s3.notifications:_send_event_bridge_message",
        "twin.s3.events:send_to_event_bridge",
        "other fields than AWS's, and no word when an event is lost",
        "test_s3_events.py::test_a_new_object_is_told_of_as_aws_documents_it",
    ),
    Patch(
        "moto.s3.notifications:send_event",
        "twin.s3.events:send_event",
        "tells of a completed multipart upload twice, and of each new object as newly tagged",
        "test_s3_events.py::test_a_multipart_upload_is_told_of_once_and_as_what_it_is",
    ),
    Patch(
        "moto.s3.responses:S3Response.setup_class",
        "twin.s3.bodies:setup_class",
        "stores nothing of a body with a form's content type",
        "test_s3_events.py::test_a_body_is_stored_whatever_its_content_type",
    ),
    Patch(
        "moto.stepfunctions.responses:get_backend",
        "twin.stepfunctions.backend:get_backend",
        "canned answers unless a setting says otherwise",
        "test_stepfunctions_executions.py::test_a_state_machine_is_interpreted",
    ),
    Patch(
        "moto.stepfunctions.responses:StepFunctionResponse.stop_execution",
        "twin.stepfunctions.backend:stop_execution",
        "drops error and cause",
        "test_stepfunctions_executions.py::test_a_stopped_execution_is_aborted_at_once_with_its_cause",
    ),
    Patch(
        "moto.stepfunctions.responses:StepFunctionResponse.describe_execution",
        "twin.stepfunctions.backend:describe_execution",
        "shows no stopDate of a time-out",
        "test_stepfunctions_executions.py::test_an_execution_that_takes_too_long_is_timed_out",
    ),
    Patch(
        "moto.stepfunctions.parser.models:stepfunctions_parser_backends.backend",
        "twin.stepfunctions.backend:Backend",
        "calls executions None, checks no transitions, sends no events",
        "test_stepfunctions_executions.py::test_executions_without_a_name_get_one_each",
    ),
    Patch(
        "moto.stepfunctions.parser.backend.execution:Execution.start",
        "twin.stepfunctions.status:start",
        "tells nobody that an execution runs",
        "test_stepfunctions_executions.py::test_every_end_of_an_execution_is_an_event",
    ),
    Patch(
        "moto.stepfunctions.parser.backend.execution:BaseExecutionWorkerCommunication._reflect_execution_status",
        "twin.stepfunctions.status:reflect",
        "tells nobody that an execution has ended",
        "test_stepfunctions_executions.py::test_every_end_of_an_execution_is_an_event",
    ),
    Patch(
        f"{_ASL}eval.environment:Environment.set_error",
        "twin.stepfunctions.flow:set_error",
        "a stopped execution ends as FAILED",
        "test_stepfunctions_executions.py::test_a_stopped_execution_stays_aborted_when_its_task_fails",
    ),
    Patch(
        f"{_ASL}component.program.program:Program.eval",
        "twin.stepfunctions.flow:program_eval",
        "limits in real seconds",
        "test_stepfunctions_executions.py::test_limits_shrink_with_the_twins_clock",
    ),
    Patch(
        f"{_ASL}component.state.exec.execute_state:ExecutionState._evaluate_with_timeout",
        "twin.stepfunctions.flow:evaluate_with_timeout",
        "limits in real seconds; a stopped execution waits for its task",
        "test_stepfunctions_executions.py::test_a_task_that_takes_too_long_is_a_states_timeout_at_the_twins_pace",
    ),
    Patch(
        f"{_ASL}component.state.exec.execute_state:ExecutionState._eval_state",
        "twin.stepfunctions.flow:eval_state",
        "a stopped execution runs Retry and Catch",
        "test_stepfunctions_executions.py::test_a_stopped_execution_visits_no_further_state",
    ),
    Patch(
        f"{_ASL}component.common.retry.retrier_decl:RetrierDecl._eval_body",
        "twin.stepfunctions.flow:retrier",
        "back-off in real seconds, also after StopExecution",
        "test_stepfunctions_executions.py::test_a_back_off_shrinks_with_the_twins_clock",
    ),
    Patch(
        f"{_ASL}component.common.error_name.error_equals_decl:ErrorEqualsDecl._eval_body",
        "twin.stepfunctions.flow:error_equals",
        "States.ALL catches States.Runtime",
        "test_stepfunctions_executions.py::test_states_all_does_not_catch_a_runtime_error",
    ),
    Patch(
        f"{_ASL}component.state.wait.wait_function.wait_function:WaitFunction._wait_interval",
        "twin.stepfunctions.pace:wait_function",
        "real seconds",
        "test_stepfunctions_executions.py::test_a_wait_state_shrinks_with_the_twins_clock",
    ),
    Patch(
        f"{_ASL}component.common.string.string_expression:StringJSONata._eval_body",
        "twin.stepfunctions.queries:string_jsonata",
        "has no JSONata engine, and splices values into the text unescaped",
        "test_stepfunctions_queries.py::test_jsonata_takes_values_as_they_are",
    ),
    Patch(
        f"{_ASL}component.common.string.string_expression:StringVariableSample._eval_body",
        "twin.stepfunctions.queries:variable_sample",
        "variables in JSONPath mode need the engine too",
        "test_stepfunctions_queries.py::test_a_variable_works_in_a_jsonpath_choice",
    ),
    Patch(
        f"{_ASL}component.common.string.string_expression:extract_json",
        "twin.stepfunctions.paths:extract_json",
        "$.a[0].b is [x], so that a Choice takes the wrong branch",
        "test_stepfunctions_queries.py::test_a_definite_path_is_the_value_itself",
    ),
    Patch(
        f"{_ASL}component.intrinsic.argument.argument:extract_json",
        "twin.stepfunctions.paths:extract_json",
        "the same in an intrinsic function",
        "test_stepfunctions_queries.py::test_a_definite_path_is_the_value_itself_in_an_intrinsic_function",
    ),
    Patch(
        f"{_ASL}component.state.choice.comparison.operator.implementations.boolean_equals:extract_json",
        "twin.stepfunctions.paths:extract_json",
        "the same in a comparison of two paths",
        "test_stepfunctions_queries.py::test_a_definite_path_is_the_value_itself_in_a_comparison",
    ),
    Patch(
        f"{_ASL}component.state.choice.comparison.operator.implementations.numeric:extract_json",
        "twin.stepfunctions.paths:extract_json",
        "the same in a comparison of two paths",
        "test_stepfunctions_queries.py::test_a_definite_path_is_the_value_itself_in_a_comparison",
    ),
    Patch(
        f"{_ASL}component.state.choice.comparison.operator.implementations.string_operators:extract_json",
        "twin.stepfunctions.paths:extract_json",
        "the same in a comparison of two paths",
        "test_stepfunctions_queries.py::test_a_definite_path_is_the_value_itself_in_a_comparison",
    ),
    Patch(
        f"{_ASL}component.state.choice.comparison.operator.implementations.timestamp_operators:extract_json",
        "twin.stepfunctions.paths:extract_json",
        "the same in a comparison of two paths",
        "test_stepfunctions_queries.py::test_a_definite_path_is_the_value_itself_in_a_comparison",
    ),
    Patch(
        f"{_ASL}utils.boto_client:boto3",
        "twin.stepfunctions.clients:Boto3",
        "answers with times break DescribeExecution; parameters go unchecked",
        "test_stepfunctions_tasks.py::test_an_answer_with_times_is_json",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.state_task_factory:state_task_service_for",
        "twin.stepfunctions.services:state_task_service_for",
        "knows no .sync of SageMaker, Athena and Glue",
        "test_stepfunctions_tasks.py::test_a_job_is_followed_until_it_succeeds",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service_aws_sdk"
        ":StateTaskServiceAwsSdk._validate_service_integration_is_supported",
        "twin.stepfunctions.services:check_sdk_resource",
        "an unknown action fails when it runs",
        "test_stepfunctions_tasks.py::test_an_unknown_action_is_refused_at_creation",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service:StateTaskService._normalise_parameters",
        "twin.stepfunctions.services:normalise_parameters",
        "objects as bodies fail",
        "test_stepfunctions_tasks.py::test_an_object_written_through_the_sdk_integration_is_json_text",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service:StateTaskService._normalise_response",
        "twin.stepfunctions.services:normalise_response",
        "streams cannot be copied",
        "test_stepfunctions_tasks.py::test_a_stream_in_an_answer_becomes_text",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service:StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES",
        "twin.stepfunctions.names:BOTO_NAMES",
        "knows no eventbridge and no sagemakerruntime",
        "test_stepfunctions_tasks.py::test_services_are_called_by_the_names_of_the_java_sdk",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service_aws_sdk:_SERVICE_ERROR_NAMES",
        "twin.stepfunctions.names:ERROR_NAMES",
        "errors of most services begin in lower case",
        "test_stepfunctions_tasks.py::test_errors_are_named_as_aws_names_them",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_map.iteration.iteration_worker:CustomErrorName",
        "twin.stepfunctions.faults:error_name",
        "a failed task in a Map becomes States.Runtime",
        "test_stepfunctions_tasks.py::test_a_failed_job_in_a_map_keeps_its_error",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_parallel.branches_decl:CustomErrorName",
        "twin.stepfunctions.faults:error_name",
        "the same in Parallel",
        "test_stepfunctions_tasks.py::test_a_failed_job_in_a_branch_keeps_its_error",
    ),
    Patch(
        f"{_ASL}component.state.fail.state_fail:CustomErrorName",
        "twin.stepfunctions.faults:error_name",
        "a Fail state cannot pass on a States.* error",
        "test_stepfunctions_executions.py::test_a_fail_state_passes_a_states_error_on",
    ),
    Patch(
        "moto.events.models:Rule.send_to_targets",
        "twin.events.targets:send_to_targets",
        "knows no Lambda and no Step Functions, ignores DISABLED, swallows failures",
        "test_events.py::test_an_event_reaches_its_function",
    ),
    Patch(
        "moto.events.models:EventsBackend.put_rule",
        "twin.events.rules:put_rule",
        "takes schedules and patterns that it does not understand",
        "test_events.py::test_a_rule_that_cannot_work_is_refused",
    ),
    Patch(
        "moto.events.models:EventsBackend.put_targets",
        "twin.events.rules:put_targets",
        "takes targets that it cannot deliver to",
        "test_events.py::test_a_target_that_cannot_work_is_refused",
    ),
    Patch(
        "moto.scheduler.models:EventBridgeSchedulerBackend.create_schedule",
        "twin.events.rules:create_schedule",
        "takes any expression and any target",
        "test_events.py::test_a_schedule_that_cannot_work_is_refused",
    ),
    Patch(
        "moto.scheduler.models:EventBridgeSchedulerBackend.update_schedule",
        "twin.events.rules:update_schedule",
        "takes any expression and any target",
        "test_events.py::test_a_schedule_cannot_be_updated_to_one_that_cannot_work",
    ),
    Patch(
        "moto.s3.models:FakeBucket.get_permission",
        "twin.s3.policies:get_permission",
        "takes a statement that denies what is not TLS for one that denies everything",
        "test_s3_events.py::test_a_policy_that_wants_tls_does_not_lock_the_twin_out",
    ),
    Patch(
        "moto.sagemaker.models:sagemaker_backends.backend",
        "twin.sagemaker.backend:Backend",
        "holds invented results and ends no process on reset",
        "sagemaker/test_service.py::test_a_reset_ends_the_processes_of_jobs_and_endpoints",
    ),
    Patch(
        "moto.sagemaker.responses:SageMakerResponse.call_action",
        "twin.sagemaker.api:call_action",
        "completes every job at once, runs nothing, checks little, lacks UpdateEndpoint and most Stop and Delete calls",
        "sagemaker/test_training.py::test_a_training_job_runs_the_program_and_keeps_its_model",
    ),
    Patch(
        "moto.sagemakerruntime.responses:SageMakerRuntimeResponse.invoke_endpoint",
        "twin.sagemaker.hosting.runtime:invoke_endpoint",
        "answers `body` whatever the endpoint",
        "sagemaker/test_endpoints.py::test_calls_are_split_by_weight_and_say_which_variant_answered",
    ),
    Patch(
        "moto.sagemakerruntime.responses:SageMakerRuntimeResponse.invoke_endpoint_async",
        "twin.sagemaker.hosting.runtime:invoke_endpoint_async",
        "pretends to have put an answer into S3",
        "sagemaker/test_endpoints.py::test_an_asynchronous_call_is_refused",
    ),
    Patch(
        "moto.cloudwatch.responses:CloudWatchResponse.get_metric_statistics",
        "twin.cloudwatch.queries:get_metric_statistics",
        "merges all series without dimensions, drops percentiles",
        "test_cloudwatch.py::test_a_series_is_its_namespace_and_exactly_its_dimensions",
    ),
    Patch(
        "moto.cloudwatch.models:CloudWatchBackend.get_metric_data",
        "twin.cloudwatch.queries:get_metric_data",
        "forgets the namespace, fails on percentiles, computes no expression",
        "test_cloudwatch.py::test_metric_data_have_percentiles_and_expressions",
    ),
    Patch(
        "moto.cloudwatch.models:CloudWatchBackend.put_metric_alarm",
        "twin.cloudwatch.definitions:put_metric_alarm",
        "starts every alarm as OK, takes what it cannot evaluate",
        "test_cloudwatch.py::test_an_alarm_that_cannot_be_judged_is_refused",
    ),
    Patch(
        "moto.cloudwatch.models:CloudWatchBackend.set_alarm_state",
        "twin.cloudwatch.definitions:set_alarm_state",
        "takes no action",
        "test_cloudwatch.py::test_an_alarm_that_is_set_takes_its_actions",
    ),
    Patch(
        "moto.logs.models:LogsBackend.put_log_events",
        "twin.cloudwatch.emf:put_log_events",
        "takes no metrics from what is logged",
        "test_cloudwatch.py::test_whoever_writes_a_log_in_the_embedded_format_puts_metrics",
    ),
    Patch(
        "moto.iam.models:IAMBackend.attach_role_policy",
        "twin.iam.managed_policies:attach_role_policy",
        "knows none of AWS's managed policies",
        "test_cloudformation.py::test_a_role_may_have_policies_of_awss_own",
    ),
    Patch(
        "moto.sns.models:Subscription.publish",
        "twin.awslambda.notifications:publish",
        "sends functions an example instead of the message's ids, topic and attributes",
        "test_awslambda.py::test_a_topics_message_reaches_its_function_as_sns_wraps_it",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.update_work_group",
        "twin.athena.workgroups:update_work_group",
        "there is no UpdateWorkGroup",
        "test_cloudformation_types.py::test_a_workgroup_is_updated",
        adds=True,
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.delete_named_query",
        "twin.athena.workgroups:delete_named_query",
        "there is no DeleteNamedQuery",
        "test_cloudformation_types.py::test_a_named_query_is_deleted",
        adds=True,
    ),
    Patch(
        "moto.sqs.models:Queue.messages",
        "twin.sqs.queues:messages",
        "reads the clock for each message",
        "test_sqs_sources.py::test_counting_a_queue_reads_the_clock_once",
    ),
    Patch(
        "moto.sqs.models:Queue.approximate_number_of_messages_delayed",
        "twin.sqs.queues:approximate_number_of_messages_delayed",
        "reads the clock for each message",
        "test_sqs_sources.py::test_counting_a_queue_reads_the_clock_once",
    ),
    Patch(
        "moto.sqs.models:Queue.approximate_number_of_messages_not_visible",
        "twin.sqs.queues:approximate_number_of_messages_not_visible",
        "reads the clock for each message",
        "test_sqs_sources.py::test_counting_a_queue_reads_the_clock_once",
    ),
    Patch(
        "moto.sqs.models:SQSBackend.is_message_valid_based_on_retention_period",
        "twin.sqs.queues:is_message_valid_based_on_retention_period",
        "counts the queue for each message",
        "test_sqs_sources.py::test_receiving_does_not_count_the_queue_for_each_message",
    ),
)

_originals: dict[str, Any] = {}


def apply() -> None:
    """Put every replacement in place, once in a process; AttributeError when a patch does not fit this moto."""
    for patch in PATCHES:
        if patch.symbol in _originals:
            continue
        owner, name = _owner(patch.symbol)
        if patch.adds == hasattr(owner, name):
            raise AttributeError(
                f"{patch.symbol} {'exists already' if patch.adds else 'is gone'}: this moto is another version"
            )
        _originals[patch.symbol] = getattr(owner, name, None)
        setattr(owner, name, _resolve(patch.replacement))


def original(symbol: str) -> Any:
    """What moto had at `symbol` before the patch."""
    return _originals[symbol]


def _owner(symbol: str) -> tuple[Any, str]:
    module, _, path = symbol.partition(":")
    *parents, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name


def _resolve(symbol: str) -> Any:
    owner, name = _owner(symbol)
    return getattr(owner, name)
