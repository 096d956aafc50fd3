"""The Step Functions backend: checks, names and ends of executions, with their status events and metrics."""

from __future__ import annotations

import datetime
import json
import logging
import threading
import uuid
from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import ExecutionDoesNotExist, InvalidName, NameTooLongException
from moto.stepfunctions.parser.api import ExecutionStatus, InvalidDefinition
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from twin.cloudwatch import data
from twin.events import bus
from twin.moto_patches.registry import original
from twin.stepfunctions import definition as definitions
from twin.stepfunctions.role import check_role

# The interpreter logs a failure once a level as it unwinds; the history has it.
logging.getLogger("moto.stepfunctions.parser").setLevel(logging.CRITICAL)

#: Of an execution's name.
_NAME_MAX = 80

TERMINATED = "moto.stepfunctions.parser.backend.execution:BaseExecutionWorkerCommunication._reflect_execution_status"
_METRICS = {
    ExecutionStatus.RUNNING: "ExecutionsStarted",
    ExecutionStatus.SUCCEEDED: "ExecutionsSucceeded",
    ExecutionStatus.FAILED: "ExecutionsFailed",
    ExecutionStatus.TIMED_OUT: "ExecutionsTimedOut",
    ExecutionStatus.ABORTED: "ExecutionsAborted",
}
START = "moto.stepfunctions.parser.backend.execution:Execution.start"
_LOG = logging.getLogger(__name__)
_ending = threading.Lock()


class Backend(StepFunctionsParserBackend):
    """Every state machine is interpreted; nothing is a canned answer."""

    @staticmethod
    def _validate_definition(definition: str) -> None:
        found = definitions.faults(definition)
        if found:
            raise InvalidDefinition(message=f"Invalid State Machine Definition: '{'; '.join(found)}'")
        StepFunctionsParserBackend._validate_definition(definition)

    def create_state_machine(self, name: str, definition: str, roleArn: str, *args: Any, **kwargs: Any) -> Any:
        """Create a state machine; InvalidDefinition names every fault and its place."""
        self._validate_definition(definition)
        check_role(roleArn, definition)
        return super().create_state_machine(name, definition, roleArn, *args, **kwargs)

    def update_state_machine(
        self, arn: str, definition: Any = None, role_arn: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Change a state machine; running executions keep their definition."""
        if definition is not None:
            self._validate_definition(definition)
        if definition is not None or role_arn is not None:
            machine = self.describe_state_machine(arn)
            check_role(role_arn or machine.roleArn, definition or machine.definition)
        return super().update_state_machine(arn, definition, role_arn, *args, **kwargs)

    def start_execution(self, state_machine_arn: str, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Start an execution; without a name it gets one of its own (moto calls each of them None)."""
        name = name or str(uuid.uuid4())
        if len(name) > _NAME_MAX:
            raise NameTooLongException(name)
        if any(letter in name for letter in (*self.invalid_chars_for_name, *self.invalid_unicodes_for_name)):
            raise InvalidName(f"Invalid Name: '{name}'")
        return super().start_execution(state_machine_arn, name, *args, **kwargs)

    def stop_execution(self, execution_arn: str, error: str | None = None, cause: str | None = None) -> Any:
        """End an execution as ABORTED, and the jobs that its `.sync` tasks wait for."""
        self._validate_execution_arn(execution_arn)
        machine = self._get_state_machine_for_execution(execution_arn)
        for execution in machine.executions:
            if execution.execution_arn == execution_arn:
                abort(execution, error, cause)
                return execution
        raise ExecutionDoesNotExist(f"Execution Does Not Exist: '{execution_arn}'")


# moto derives the service's URLs from the module of its backend class.
Backend.__module__ = StepFunctionsParserBackend.__module__


def get_backend(account: str, region: str) -> Any:
    """The interpreting backend, always; moto asks a setting that defaults to canned answers."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends  # noqa: PLC0415 - as moto does

    return stepfunctions_parser_backends[account][region]


def stop_execution(self: Any) -> Any:
    """The API's StopExecution; moto drops error and cause."""
    execution = self.stepfunction_backend.stop_execution(
        self._get_param("executionArn"), error=self._get_param("error"), cause=self._get_param("cause")
    )
    return ActionResult({"stopDate": execution.stop_date})


def describe_execution(self: Any) -> Any:
    """The API's DescribeExecution; moto has no stopDate for a time-out and parses a string output as JSON."""
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    return ActionResult({name: value for name, value in execution.to_describe_output().items() if value is not None})


def start(self: Any) -> None:
    """Send the RUNNING event, then run the execution: a short one would end before its event."""
    self.exec_status = ExecutionStatus.RUNNING
    publish(self)
    original(START)(self)


def reflect(self: Any) -> None:
    """Take the ended program's status, unless the execution was stopped meanwhile, and send the event."""
    execution = self.execution
    with _ending:
        if execution.exec_status != ExecutionStatus.RUNNING:
            return
        original(TERMINATED)(self)
        if execution.exec_status == ExecutionStatus.TIMED_OUT:
            execution.error, execution.cause = "States.Timeout", None
    publish(execution)


def abort(execution: Any, error: str | None, cause: str | None) -> None:
    """StopExecution: the status is ABORTED at once; running states notice it and end."""
    now = datetime.datetime.now(tz=datetime.UTC)
    with _ending:
        if execution.exec_status != ExecutionStatus.RUNNING:
            return
        execution.exec_worker.env.set_stop(stop_date=now, error=error, cause=cause)
        execution.exec_status, execution.stop_date = ExecutionStatus.ABORTED, now
        execution.error, execution.cause = error, cause
    publish(execution)


def publish(execution: Any) -> None:
    """Count the new status and send its event; a fault is logged, since no caller waits for the event."""
    _count(execution)
    try:
        bus.emit("aws.states", "Step Functions Execution Status Change", detail(execution), [execution.exec_arn])
    except Exception:  # noqa: BLE001 - a lost event must not end the execution
        _LOG.exception("the status change of %s was not sent", execution.exec_arn)


def _count(execution: Any) -> None:
    """AWS/States' metrics, which alarms watch."""
    dimensions = (("StateMachineArn", execution.state_machine_arn),)
    counted = data.Datum(_METRICS[execution.exec_status], 1, "Count", dimensions)
    data.publish(execution.account_id, execution.region_name, "AWS/States", [counted])


def detail(execution: Any) -> dict[str, Any]:
    """The event's detail as AWS documents it; dates are milliseconds."""
    succeeded = execution.exec_status == ExecutionStatus.SUCCEEDED
    return {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": execution.exec_status.value,
        "startDate": _milliseconds(execution.start_date),
        "stopDate": _milliseconds(execution.stop_date) if execution.stop_date else None,
        "input": execution.execution_input,
        "inputDetails": {"included": True},
        "output": json.dumps(execution.output) if succeeded else None,
        "outputDetails": {"included": True} if succeeded else None,
        "error": execution.error,
        "cause": execution.cause,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE" if succeeded else "REDRIVABLE",
    }


def _milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)
