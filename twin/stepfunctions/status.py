"""How an execution ends, once and promptly, and the "Execution Status Change" event that EventBridge gets of it."""

from __future__ import annotations

import datetime
import json
import logging
import threading
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.api import ExecutionStatus

from twin import context
from twin.cloudwatch import data
from twin.moto_patches.registry import original

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
_settling = threading.Lock()


def start(self: Any) -> None:
    """Tell EventBridge that an execution runs, then run it: a short one would be over before it was told of."""
    self.exec_status = ExecutionStatus.RUNNING
    publish(self)
    original(START)(self)


def reflect(self: Any) -> None:
    """Take the ended program's status, unless the execution was stopped meanwhile, and tell EventBridge."""
    execution = self.execution
    with _settling:
        if execution.exec_status != ExecutionStatus.RUNNING:
            return
        original(TERMINATED)(self)
        if execution.exec_status == ExecutionStatus.TIMED_OUT:
            execution.error, execution.cause = "States.Timeout", None
    publish(execution)


def abort(execution: Any, error: str | None, cause: str | None) -> None:
    """StopExecution: the status is ABORTED at once; what is running is told and ends by itself."""
    now = datetime.datetime.now(tz=datetime.UTC)
    with _settling:
        if execution.exec_status != ExecutionStatus.RUNNING:
            return
        execution.exec_worker.env.set_stop(stop_date=now, error=error, cause=cause)
        execution.exec_status, execution.stop_date = ExecutionStatus.ABORTED, now
        execution.error, execution.cause = error, cause
    publish(execution)


def publish(execution: Any) -> None:
    """Count it, and send the event; what EventBridge refuses is logged, as nobody waits for it."""
    _count(execution)
    entry = {
        "Source": "aws.states",
        "DetailType": "Step Functions Execution Status Change",
        "Resources": [execution.exec_arn],
        "Detail": json.dumps(detail(execution)),
    }
    try:
        answer = context.client("events").put_events(Entries=[entry])
    except (ClientError, BotoCoreError) as error:
        _LOG.error("the status change of %s could not be sent: %s", execution.exec_arn, error)
        return
    if answer["FailedEntryCount"]:
        _LOG.error("EventBridge refused the status change of %s: %s", execution.exec_arn, answer["Entries"])


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
