"""GetMetricStatistics and GetMetricData as AWS answers them.

moto merges all series of a metric when no dimensions are asked for, forgets the namespace when there are some, fails on
percentiles and answers metric math with nothing.
"""

from __future__ import annotations

import datetime
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.core.responses import ActionResult

from twin.cloudwatch.expression import ExpressionError, evaluate
from twin.cloudwatch.series import SIMPLE, Metric, StatisticError, by_period, check, data_of, seconds, statistic_of


def get_metric_statistics(self: Any) -> ActionResult:
    """CloudWatchResponse.get_metric_statistics."""
    simple = self._get_param("Statistics", []) or []
    extended = self._get_param("ExtendedStatistics", []) or []
    if not simple and not extended:
        raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
    metric = Metric.named(
        self._get_param("Namespace"), self._get_param("MetricName"), self._get_param("Dimensions", []) or []
    )
    period = int(self._get_param("Period"))
    start, end = _span(self._get_param("StartTime"), self._get_param("EndTime"), period)
    periods = by_period(_data(self.cloudwatch_backend, metric, self._get_param("Unit")), start, end, period)
    points = [_point(moment, data, simple, extended) for moment, data in periods.items()]
    return ActionResult({"Label": metric.name, "Datapoints": points})


def get_metric_data(
    self: Any, queries: list[dict[str, Any]], start_time: Any, end_time: Any, scan_by: str = "TimestampAscending"
) -> list[dict[str, Any]]:
    """CloudWatchBackend.get_metric_data: statistics and metric math."""
    found: dict[str, dict[float, float]] = {}
    for query in queries:
        if "MetricStat" in query:
            found[query["Id"]] = _series(self, query["MetricStat"], start_time, end_time)
    pending = [query for query in queries if "MetricStat" not in query]
    for query in pending:
        if str(query["Expression"]).startswith(("SELECT", "SEARCH")):
            raise ValidationError("the twin does not support SELECT and SEARCH; use + - * /, comparisons and IF")
        try:
            found[query["Id"]] = evaluate(query["Expression"], found)
        except ExpressionError as error:
            raise ValidationError(f"Error in expression '{query['Id']}': {error}") from error
    wanted = [query for query in queries if query.get("ReturnData", True) is not False]
    return [_result(query, found[query["Id"]], descending=scan_by == "TimestampDescending") for query in wanted]


def _series(backend: Any, asked: dict[str, Any], start_time: Any, end_time: Any) -> dict[float, float]:
    named = asked["Metric"]
    metric = Metric.named(named["Namespace"], named["MetricName"], named.get("Dimensions") or [])
    period = int(asked["Period"])
    start, end = _span(start_time, end_time, period)
    try:
        check(asked["Stat"])
    except StatisticError as error:
        raise ValidationError(str(error)) from error
    periods = by_period(_data(backend, metric, asked.get("Unit")), start, end, period)
    return {moment: _value(asked["Stat"], data) for moment, data in periods.items()}


def _data(backend: Any, metric: Metric, unit: str | None) -> list[Any]:
    return [each for each in data_of(backend, metric) if unit is None or each.unit == unit]


def _span(start_time: Any, end_time: Any, period_seconds: int) -> tuple[float, float]:
    """AWS rounds the start down to the minute, for periods of a minute or more."""
    start, end = seconds(start_time), seconds(end_time)
    if start >= end:
        raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
    if period_seconds < 1:
        raise InvalidParameterValue("The parameter Period must be greater than 0.")
    return (start // 60 * 60 if period_seconds >= 60 else start), end


def _point(moment: float, data: list[Any], simple: list[str], extended: list[str]) -> dict[str, Any]:
    for each in simple:
        if each not in SIMPLE:
            raise InvalidParameterValue(f"The value {each} for parameter Statistics is not supported.")
    point: dict[str, Any] = {"Timestamp": _time(moment), "Unit": data[-1].unit or "None"}
    point |= {each: _value(each, data) for each in simple}
    if extended:
        point["ExtendedStatistics"] = {each: _value(each, data) for each in extended}
    return point


def _value(statistic: str, data: list[Any]) -> float:
    try:
        return statistic_of(statistic, data)
    except StatisticError as error:
        raise InvalidParameterValue(str(error)) from error


def _result(query: dict[str, Any], series: dict[float, float], *, descending: bool) -> dict[str, Any]:
    moments = sorted(series, reverse=descending)
    named = query.get("MetricStat", {})
    label = f"{named['Metric']['MetricName']} {named['Stat']}" if named else query["Id"]
    return {
        "id": query["Id"],
        "label": query.get("Label") or label,
        "values": [series[moment] for moment in moments],
        "timestamps": [_time(moment) for moment in moments],
        "status_code": "Complete",
    }


def _time(moment: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).replace(tzinfo=None)
