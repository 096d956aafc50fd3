"""What the twin replaces in moto's Step Functions."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

#: Where moto keeps its interpreter of the Amazon States Language.
_ASL = "moto.stepfunctions.parser.asl."

PATCHES = (
    Patch(
        "moto.stepfunctions.responses:get_backend",
        "twin.stepfunctions.backend:get_backend",
        "returns canned results unless a setting changes that",
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
        "twin.stepfunctions.backend:start",
        "sends no event when an execution starts",
        "test_stepfunctions_executions.py::test_every_end_of_an_execution_is_an_event",
    ),
    Patch(
        "moto.stepfunctions.parser.backend.execution:BaseExecutionWorkerCommunication._reflect_execution_status",
        "twin.stepfunctions.backend:reflect",
        "sends no event when an execution ends",
        "test_stepfunctions_executions.py::test_every_end_of_an_execution_is_an_event",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.state_task:StateTask._eval_state_credentials",
        "twin.stepfunctions.clients:eval_state_credentials",
        "calls without the machine's role",
        "test_iam_stepfunctions.py::test_a_task_calls_with_the_role_of_its_state_machine",
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
        "twin.stepfunctions.flow:wait_function",
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
        f"{_ASL}utils.boto_client:boto3",
        "twin.stepfunctions.clients:Boto3",
        "answers with times break DescribeExecution; parameters go unchecked",
        "test_stepfunctions_tasks.py::test_an_answer_with_times_is_json",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.state_task_factory:state_task_service_for",
        "twin.stepfunctions.tasks:state_task_service_for",
        "knows no .sync of SageMaker, Athena and Glue",
        "test_stepfunctions_tasks.py::test_a_job_is_followed_until_it_succeeds",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service_aws_sdk"
        ":StateTaskServiceAwsSdk._validate_service_integration_is_supported",
        "twin.stepfunctions.tasks:check_sdk_resource",
        "an unknown action fails when it runs",
        "test_stepfunctions_tasks.py::test_an_unknown_action_is_refused_at_creation",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service:StateTaskService._normalise_parameters",
        "twin.stepfunctions.tasks:normalise_parameters",
        "objects as bodies fail",
        "test_stepfunctions_tasks.py::test_an_object_written_through_the_sdk_integration_is_json_text",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service:StateTaskService._normalise_response",
        "twin.stepfunctions.tasks:normalise_response",
        "streams cannot be copied",
        "test_stepfunctions_tasks.py::test_a_stream_in_an_answer_becomes_text",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service:StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES",
        "twin.stepfunctions.clients:BOTO_NAMES",
        "knows no eventbridge and no sagemakerruntime",
        "test_stepfunctions_tasks.py::test_services_are_called_by_the_names_of_the_java_sdk",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_task.service.state_task_service_aws_sdk:_SERVICE_ERROR_NAMES",
        "twin.stepfunctions.clients:ERROR_NAMES",
        "errors of most services begin in lower case",
        "test_stepfunctions_tasks.py::test_errors_are_named_as_aws_names_them",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_map.iteration.iteration_worker:CustomErrorName",
        "twin.stepfunctions.tasks:error_name",
        "a failed task in a Map becomes States.Runtime",
        "test_stepfunctions_tasks.py::test_a_failed_job_in_a_map_keeps_its_error",
    ),
    Patch(
        f"{_ASL}component.state.exec.state_parallel.branches_decl:CustomErrorName",
        "twin.stepfunctions.tasks:error_name",
        "the same in Parallel",
        "test_stepfunctions_tasks.py::test_a_failed_job_in_a_branch_keeps_its_error",
    ),
    Patch(
        f"{_ASL}component.state.fail.state_fail:CustomErrorName",
        "twin.stepfunctions.tasks:error_name",
        "a Fail state cannot pass on a States.* error",
        "test_stepfunctions_executions.py::test_a_fail_state_passes_a_states_error_on",
    ),
)
