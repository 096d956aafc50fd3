"""Which alarms there can be: those that the twin evaluates and whose actions it can take. It refuses all others."""

from __future__ import annotations

from typing import Any

from moto.cloudwatch.exceptions import ValidationError

from twin.cloudwatch import actions
from twin.cloudwatch.evaluation import COMPARISONS, Missing, Rule
from twin.cloudwatch.expression import ExpressionError, names
from twin.cloudwatch.statistics import Metric, StatisticError, check
from twin.events import delivery
from twin.moto_patches.registry import original

_BACKEND = "moto.cloudwatch.models:CloudWatchBackend"
_MISSING: tuple[Missing, ...] = ("missing", "ignore", "breaching", "notBreaching")


def put_metric_alarm(self: Any, **settings: Any) -> Any:
    """CloudWatchBackend.put_metric_alarm: checked; a new alarm has insufficient data, a changed one keeps its state."""
    _check(settings)
    known = self.alarms.get(settings["name"])
    alarm = original(f"{_BACKEND}.put_metric_alarm")(self, **settings)
    alarm.state_value = "INSUFFICIENT_DATA"
    if known is not None:
        for name in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
            setattr(alarm, name, getattr(known, name))
    return alarm


def set_alarm_state(self: Any, alarm_name: str, reason: str, reason_data: str | None, state_value: str) -> None:
    """CloudWatchBackend.set_alarm_state: the actions of the new state are taken, as on AWS."""
    alarm = self.alarms.get(alarm_name)
    previous = actions.snapshot(alarm) if alarm is not None else None
    replaced = original(f"{_BACKEND}.set_alarm_state")
    replaced(self, alarm_name, reason, reason_data if reason_data is not None else "{}", state_value)
    if previous is not None and previous["value"] != state_value:
        actions.announce(self.alarms[alarm_name], previous)


def rule_of(alarm: Any) -> Rule:
    """When moto's alarm is in alarm."""
    return Rule(
        comparison=alarm.comparison_operator,
        threshold=float(alarm.threshold),
        periods=int(alarm.evaluation_periods),
        datapoints=int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
        missing=alarm.treat_missing_data or "missing",
    )


def period_of(alarm: Any) -> int:
    """The alarm's period in AWS's seconds."""
    if not alarm.metric_data_queries:
        return int(alarm.period)
    stats = [query.metric_stat for query in alarm.metric_data_queries if query.metric_stat]
    return int(stats[0].period)


def metric_of(alarm: Any) -> Metric:
    """The series of an alarm on one metric."""
    return Metric(alarm.namespace, alarm.metric_name, frozenset((each.name, each.value) for each in alarm.dimensions))


def _check(settings: dict[str, Any]) -> None:
    name = settings["name"]
    try:
        if settings["comparison_operator"] not in COMPARISONS:
            raise StatisticError(f"the twin does not compare by {settings['comparison_operator']}")
        if (settings.get("treat_missing_data") or "missing") not in _MISSING:
            raise StatisticError(f"TreatMissingData {settings['treat_missing_data']!r} is not one of {_MISSING}")
        if settings.get("threshold") is None:
            raise StatisticError("an alarm needs a Threshold")
        if int(settings.get("datapoints_to_alarm") or 1) > int(settings["evaluation_periods"]):
            raise StatisticError("DatapointsToAlarm is larger than EvaluationPeriods")
        _check_metric(settings)
        for kind in ("alarm_actions", "ok_actions", "insufficient_data_actions"):
            for arn in settings.get(kind) or []:
                delivery.check(arn)
    except (StatisticError, ExpressionError, delivery.UnsupportedTarget) as error:
        raise ValidationError(f"alarm {name}: {error}") from error


def _check_metric(settings: dict[str, Any]) -> None:
    if queries := settings.get("metric_data_queries"):
        _check_queries(queries)
        return
    statistic = settings.get("statistic") or settings.get("extended_statistic")
    if not (settings.get("namespace") and settings.get("metric_name") and settings.get("period") and statistic):
        raise StatisticError("an alarm needs Namespace, MetricName, Period and a statistic, or Metrics")
    check(statistic)


def _check_queries(queries: list[Any]) -> None:
    stats = {query.id: query.metric_stat for query in queries if query.metric_stat}
    if len({stat.period for stat in stats.values()}) != 1:
        raise StatisticError("the metrics of an alarm need one and the same period")
    for stat in stats.values():
        check(stat.stat)
    known = set(stats)
    for query in queries:
        if query.metric_stat:
            continue
        if unknown := names(query.expression or "") - known:
            raise ExpressionError(f"{query.expression!r} refers to unknown ids: {', '.join(sorted(unknown))}")
        known.add(query.id)
    if sum(query.return_data is not False for query in queries) != 1:
        raise StatisticError("exactly one of an alarm's Metrics returns data")
