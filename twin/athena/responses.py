"""Athena's API calls in place of moto's: `self` is moto's AthenaResponse."""

from __future__ import annotations

import json
import re
from typing import Any

from twin.athena.executions import EXECUTIONS, Execution, Request
from twin.athena.results import PAGE_MAX

Response = str | tuple[str, dict[str, int]]

_LOCATION = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")

_RESULTS = "ResultConfigurationUpdates"


def start_query_execution(self: Any) -> Response:
    """StartQueryExecution: the workgroup's settings win when it enforces them."""
    name = self._get_param("WorkGroup") or "primary"
    group = self.athena_backend.get_work_group(name)
    if group is None:
        return _refuse(f"WorkGroup {name} is not found.")
    if group["State"] != "ENABLED":
        return _refuse(f"WorkGroup {name} is disabled.")
    settings = group["Configuration"]
    result = _result_configuration(self._get_param("ResultConfiguration") or {}, settings)
    if not _LOCATION.fullmatch(str(result.get("OutputLocation", ""))):
        return _refuse(
            "No output location provided. An output location is required either through the Workgroup result "
            "configuration setting or as an API input."
        )
    asked = self._get_param("QueryExecutionContext") or {}
    request = Request(
        query=self._get_param("QueryString"),
        database=asked.get("Database", "default"),
        workgroup=name,
        output=result["OutputLocation"],
        parameters=tuple(self._get_param("ExecutionParameters") or ()),
        scan_limit=_number(settings.get("BytesScannedCutoffPerQuery")),
        context=asked,
        result_configuration=result,
    )
    try:
        execution = EXECUTIONS.start(request, self._get_param("ClientRequestToken"))
    except ValueError as error:
        return _refuse(str(error))
    return json.dumps({"QueryExecutionId": execution.id})


def _result_configuration(asked: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    group: dict[str, Any] = settings.get("ResultConfiguration") or {}
    enforced = str(settings.get("EnforceWorkGroupConfiguration", "")).lower() == "true"
    return group if enforced and group.get("OutputLocation") else {**group, **asked}


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def get_query_execution(self: Any) -> Response:
    """GetQueryExecution."""
    execution = _find(self._get_param("QueryExecutionId"))
    return execution if isinstance(execution, tuple) else json.dumps({"QueryExecution": _describe(execution)})


def get_query_results(self: Any) -> Response:
    """GetQueryResults: a page; the first row of the first page is the header."""
    execution = _find(self._get_param("QueryExecutionId"))
    if isinstance(execution, tuple):
        return execution
    if not execution.ended:
        return _refuse(f"Query has not yet finished. Current state: {execution.state}")
    if execution.state != "SUCCEEDED":
        return _refuse(f"Query did not finish successfully. Final query state: {execution.state}")
    limit = int(self._get_param("MaxResults") or PAGE_MAX)
    if not 1 <= limit <= PAGE_MAX:
        return _refuse(f"MaxResults must be between 1 and {PAGE_MAX}")
    try:
        page = execution.results.page(int(self._get_param("NextToken") or 0), limit)
    except (ValueError, OverflowError):
        return _refuse("Invalid NextToken")
    rows = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in page.rows]
    answer: dict[str, Any] = {
        "UpdateCount": 0,
        "ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": execution.results.columns}},
    }
    if page.next_offset is not None:
        answer["NextToken"] = str(page.next_offset)
    return json.dumps(answer)


def stop_query_execution(self: Any) -> Response:
    """StopQueryExecution; idempotent."""
    execution = _find(self._get_param("QueryExecutionId"))
    if isinstance(execution, tuple):
        return execution
    execution.stop()
    return "{}"


def _find(query_id: str) -> Execution | tuple[str, dict[str, int]]:
    try:
        return EXECUTIONS.get(query_id)
    except KeyError:
        return _refuse(f"QueryExecution {query_id} was not found")


def _refuse(message: str) -> tuple[str, dict[str, int]]:
    return json.dumps({"__type": "InvalidRequestException", "Message": message}), {"status": 400}


def _describe(execution: Execution) -> dict[str, Any]:
    request = execution.request
    status: dict[str, Any] = {"State": execution.state, "SubmissionDateTime": execution.submitted_at}
    if execution.ended_at is not None:
        status["CompletionDateTime"] = execution.ended_at
    if execution.reason:
        status["StateChangeReason"] = execution.reason
    if execution.state == "FAILED":
        status["AthenaError"] = {"ErrorCategory": 2, "ErrorMessage": execution.reason, "Retryable": False}
    described = {
        "QueryExecutionId": execution.id,
        "Query": request.query,
        "StatementType": "DML",
        "SubstatementType": "SELECT",
        "ResultConfiguration": {**request.result_configuration, "OutputLocation": execution.output_location},
        "QueryExecutionContext": dict(request.context),
        "Status": status,
        "Statistics": _statistics(execution),
        "WorkGroup": request.workgroup,
        "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"},
    }
    if request.parameters:
        described["ExecutionParameters"] = list(request.parameters)
    return described


def _statistics(execution: Execution) -> dict[str, Any]:
    end = execution.ended_at
    started = execution.started_at
    statistics: dict[str, Any] = {"DataScannedInBytes": execution.scanned_bytes}
    if started is not None:
        statistics["QueryQueueTimeInMillis"] = _milliseconds(started - execution.submitted_at)
    if end is not None:
        statistics["EngineExecutionTimeInMillis"] = _milliseconds(end - (started or end))
        statistics["TotalExecutionTimeInMillis"] = _milliseconds(end - execution.submitted_at)
    return statistics


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def update_work_group(self: Any) -> Response:
    """Change a workgroup's description, state and configuration."""
    name = self._get_param("WorkGroup")
    if name not in self.athena_backend.work_groups:
        refusal: Response = self.error(f"WorkGroup {name} is not found.", 400)
        return refusal
    group = self.athena_backend.work_groups[name]
    asked = json.loads(self.body)
    group.description = asked.get("Description", group.description)
    group.state = asked.get("State", group.state)
    updates = dict(asked.get("ConfigurationUpdates", {}))
    if _RESULTS in updates:
        results = {**group.configuration.get("ResultConfiguration", {}), **updates.pop(_RESULTS)}
        group.configuration["ResultConfiguration"] = results
    group.configuration.update(updates)
    return "{}"
