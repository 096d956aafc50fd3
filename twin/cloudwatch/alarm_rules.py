"""Alarm rules: which alarms the twin accepts, and how an alarm's data decide its next state.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from moto.cloudwatch.exceptions import ValidationError

from twin.cloudwatch.expression import ExpressionError, names
from twin.cloudwatch.series import Metric, StatisticError, check
from twin.events import delivery
from twin.moto_patches.registry import original

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Missing = Literal["missing", "ignore", "breaching", "notBreaching"]

EXTRA_PERIODS = 2
"""AWS looks further back than the evaluation periods, so that a gap in the data need not change the state."""

COMPARISONS: Final[dict[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}

_BACKEND = "moto.cloudwatch.models:CloudWatchBackend"
_MISSING: tuple[Missing, ...] = ("missing", "ignore", "breaching", "notBreaching")


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alarm is in alarm: `datapoints` of the last `periods` values are beyond the threshold."""

    comparison: str
    threshold: float
    periods: int
    datapoints: int
    missing: Missing = "missing"

    def breaches(self, value: float) -> bool:
        """Whether a value lies beyond the threshold."""
        return COMPARISONS[self.comparison][0](value, self.threshold)


def evaluate(rule: Rule, points: Sequence[float | None], state: State) -> State:
    """The next state.

    points: one value for each of the last `periods + EXTRA_PERIODS` complete periods, oldest first, None where there
    are no data. Real data decide first; remaining gaps are treated as TreatMissingData says.
    """
    recent = [value for value in points if value is not None][-rule.periods :]
    breaching = sum(rule.breaches(value) for value in recent)
    lacking = rule.periods - len(recent)
    if breaching >= rule.datapoints:
        return "ALARM"
    if lacking == 0 or rule.missing == "notBreaching":
        return "OK"
    possible = breaching + lacking >= rule.datapoints  # if all that is missing were bad
    if rule.missing == "breaching":
        return "ALARM" if possible else "OK"
    if rule.missing == "ignore":
        return "OK" if recent and not possible else state
    if not recent:
        return "INSUFFICIENT_DATA"
    return _with_gaps(rule, points, state) if breaching == len(recent) else "OK"


def _with_gaps(rule: Rule, points: Sequence[float | None], state: State) -> State:
    """All known values breach, but they are few: an alarm once the oldest is as old as the alarm asks for."""
    age = next(len(points) - index for index, value in enumerate(points) if value is not None)
    return "ALARM" if age >= rule.datapoints else state


def reason(rule: Rule, points: Sequence[float | None], state: State, previous: State) -> str:
    """The reason of a state change in AWS's words."""
    recent = [value for value in points if value is not None][-rule.periods :]
    if state == "INSUFFICIENT_DATA" or not recent:
        unit = "period" if rule.periods == 1 else "periods"
        description = f"no datapoints were received for {rule.periods} {unit}"
        if state != "INSUFFICIENT_DATA":
            treated = "Breaching" if state == "ALARM" else "NonBreaching"
            description += f" and {rule.periods} missing datapoints were treated as [{treated}]"
        return f"Threshold Crossed: {description}."
    wanted = [value for value in recent if rule.breaches(value) == (state == "ALARM")]
    words = COMPARISONS[rule.comparison][1]
    was = f"{'was' if len(wanted) == 1 else 'were'}{'' if state == 'ALARM' else ' not'}"
    return (
        f"Threshold Crossed: {len(wanted)} out of the last {len(recent)} datapoints {_shown(wanted)} {was} {words} "
        f"the threshold ({rule.threshold}) (minimum {rule.datapoints} datapoint{'' if rule.datapoints == 1 else 's'} "
        f"for {previous} -> {state} transition)."
    )


def _shown(values: Sequence[float]) -> str:
    return f"[{', '.join(str(value) for value in values)}]"


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
