"""What an alarm does when its state changes: an event on the default bus, and its actions, in the shapes AWS sends."""

from __future__ import annotations

import datetime
import json
import logging
import threading
from typing import Any

from twin import context
from twin.events import bus, delivery

_log = logging.getLogger("usher.twin.cloudwatch")

State = dict[str, Any]


def snapshot(alarm: Any) -> State:
    """The state of one of moto's alarms, as events show it."""
    return {
        "value": alarm.state_value,
        "reason": alarm.state_reason,
        "reasonData": alarm.state_reason_data or "{}",
        "timestamp": alarm.state_updated_timestamp.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000",
    }


def announce(alarm: Any, previous: State) -> None:
    """Send the event and take the actions of a change, in the background."""
    present = snapshot(alarm)
    threading.Thread(target=_announce, args=(alarm, present, previous), name="alarm actions", daemon=True).start()


def _announce(alarm: Any, present: State, previous: State) -> None:
    try:
        detail = {"alarmName": alarm.name, "state": present, "previousState": previous, "configuration": _about(alarm)}
        bus.emit("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm.alarm_arn])
    except Exception:  # noqa: BLE001 - the alarm's actions follow
        _log.exception("the change of alarm %s is not on the event bus", alarm.name)
    if not alarm.actions_enabled:
        return
    for arn in _actions(alarm, present["value"]):
        _take(alarm, arn, present, previous)


def _take(alarm: Any, arn: str, present: State, previous: State) -> None:
    result = "Successfully executed"
    try:
        subject = f'{present["value"]}: "{alarm.name}" in {alarm.region_name}'[:100]
        delivery.deliver(arn, json.dumps(_for_topic(alarm, present, previous)), {"Subject": subject})
    except Exception as error:  # noqa: BLE001 - every failed action is logged, whatever the cause
        _log.error("alarm %s: the action %s failed: %s", alarm.name, arn, error)
        result = "Failed to execute"
    alarm.history.append(
        ("Action", f"{result} action {arn}", "{}", present["value"], datetime.datetime.now(datetime.UTC))
    )


def _actions(alarm: Any, state: str) -> list[str]:
    by_state = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions}
    return list(by_state.get(state, alarm.insufficient_data_actions) or [])


def _about(alarm: Any) -> dict[str, Any]:
    """The alarm's `configuration`."""
    if alarm.metric_data_queries:
        metrics = [_query(query) for query in alarm.metric_data_queries]
    else:
        dimensions = {each.name: each.value for each in alarm.dimensions}
        metric = {"namespace": alarm.namespace, "name": alarm.metric_name, "dimensions": dimensions}
        stat = alarm.statistic or alarm.extended_statistic
        stated = {"metric": metric, "period": int(alarm.period), "stat": stat}
        metrics = [{"id": "m1", "metricStat": stated, "returnData": True}]
    return {"description": alarm.description or "", "metrics": metrics}


def _query(query: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"id": query.id, "returnData": query.return_data is not False}
    if query.metric_stat is None:
        return about | {"expression": query.expression}
    asked = query.metric_stat.metric
    metric = {
        "namespace": asked.namespace,
        "name": asked.metric_name,
        "dimensions": {each.name: each.value for each in asked.dimensions},
    }
    return about | {
        "metricStat": {"metric": metric, "period": int(query.metric_stat.period), "stat": query.metric_stat.stat}
    }


def _for_topic(alarm: Any, present: State, previous: State) -> dict[str, Any]:
    statistic = alarm.statistic or alarm.extended_statistic or ""
    trigger = {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "StatisticType": "Statistic" if alarm.statistic else "ExtendedStatistic",
        "Statistic": statistic.upper() if alarm.statistic else statistic,
        "Unit": alarm.unit,
        "Dimensions": [{"value": each.value, "name": each.name} for each in alarm.dimensions],
        "Period": alarm.period,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm or alarm.evaluation_periods,
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data or "missing",
        "EvaluateLowSampleCountPercentile": "",
    }
    if alarm.metric_data_queries:
        trigger["Metrics"] = [_query(query) for query in alarm.metric_data_queries]
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": context.ACCOUNT,
        "AlarmConfigurationUpdatedTimestamp": alarm.configuration_updated_timestamp.isoformat(),
        "NewStateValue": present["value"],
        "NewStateReason": present["reason"],
        "StateChangeTime": present["timestamp"],
        "Region": alarm.region_name,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": previous["value"],
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
        "Trigger": trigger,
    }
