"""The Step Functions of the twin: moto's interpreting backend, with AWS's checks, names and ends of executions."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import ExecutionDoesNotExist, InvalidName, NameTooLongException
from moto.stepfunctions.parser.api import InvalidDefinition
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from twin.stepfunctions import definition as definitions
from twin.stepfunctions import status

# The interpreter logs a failure once a level as it unwinds; the history has it.
logging.getLogger("moto.stepfunctions.parser").setLevel(logging.CRITICAL)

#: Of an execution's name.
_NAME_MAX = 80


class Backend(StepFunctionsParserBackend):
    """Every state machine is interpreted; nothing is a canned answer."""

    @staticmethod
    def _validate_definition(definition: str) -> None:
        found = definitions.faults(definition)
        if found:
            raise InvalidDefinition(message=f"Invalid State Machine Definition: '{'; '.join(found)}'")
        StepFunctionsParserBackend._validate_definition(definition)

    def create_state_machine(self, name: str, definition: str, *args: Any, **kwargs: Any) -> Any:
        """Make a state machine; InvalidDefinition says what is wrong and where."""
        self._validate_definition(definition)
        return super().create_state_machine(name, definition, *args, **kwargs)

    def update_state_machine(self, arn: str, definition: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Change a state machine; running executions keep their definition."""
        if definition is not None:
            self._validate_definition(definition)
        return super().update_state_machine(arn, definition, *args, **kwargs)

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
                status.abort(execution, error, cause)
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
    """The API's DescribeExecution; moto has no stopDate for a time-out, and takes a text output for JSON text."""
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    return ActionResult({name: value for name, value in execution.to_describe_output().items() if value is not None})
