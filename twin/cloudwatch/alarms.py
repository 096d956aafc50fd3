"""The alarm evaluator: evaluates every metric alarm on the scaled clock, changes states and takes actions.

`Alarms(context).start()` begins, `stop()` ends. Each round first publishes SQS's own metrics.
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from twin import context as twins
from twin.cloudwatch import actions, alarm_rules, expression
from twin.cloudwatch.alarm_rules import EXTRA_PERIODS
from twin.cloudwatch.data import publish_queues
from twin.cloudwatch.series import Arrivals, Metric, StatisticError, statistic_of
from twin.context import Context

ROUND_SECONDS = 30.0
"""AWS evaluates an alarm every minute; the twin twice in that time, so that no period passes unseen."""
FAST_ROUND_SECONDS = 5.0
"""The same for alarms whose period is below a minute."""
_SHORTEST_ROUND_SECONDS = 0.05
_END_SECONDS = 2.0

_log = logging.getLogger("usher.twin.cloudwatch")


class Alarms:
    """A service of the twin. now: real seconds since 1970; tests set it and call `evaluate`."""

    def __init__(self, context: Context, now: Callable[[], float] = time.time) -> None:
        self._context = context
        self._now = now
        self._arrivals = Arrivals()
        self._published_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def start(self) -> Self:
        """Start the evaluation thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop the evaluation thread."""
        self._stopping.set()
        self._thread.join(_END_SECONDS)

    def evaluate(self) -> None:
        """One round over all alarms."""
        now, backend = self._now(), _backend()
        if now - self._published_at >= 0.9 * self._context.real_seconds(ROUND_SECONDS):  # fast rounds need not publish
            self._published_at = now
            publish_queues()
        self._arrivals.read(backend.metric_data, now)
        for alarm in list(backend.alarms.values()):
            try:
                self._evaluate(alarm, now)
            except (StatisticError, expression.ExpressionError) as error:
                _log.error("alarm %s cannot be evaluated: %s", alarm.name, error)

    def _run(self) -> None:
        while not self._stopping.wait(self._pause_seconds()):
            try:
                self.evaluate()
            except Exception:  # noqa: BLE001 - one bad round must not be the last one
                _log.exception("a round over the alarms failed")

    def _pause_seconds(self) -> float:
        periods = [alarm_rules.period_of(alarm) for alarm in list(_backend().alarms.values())]
        fast = any(period < 60 for period in periods)
        pause = self._context.real_seconds(FAST_ROUND_SECONDS if fast else ROUND_SECONDS)
        return max(_SHORTEST_ROUND_SECONDS, pause)

    def _evaluate(self, alarm: Any, now: float) -> None:
        rule, previous = alarm_rules.rule_of(alarm), actions.snapshot(alarm)
        points = self._points(alarm, rule.periods + EXTRA_PERIODS, now)
        state = alarm_rules.evaluate(rule, points, previous["value"])
        if state == previous["value"]:
            return
        reason = alarm_rules.reason(rule, points, state, previous["value"])
        alarm.update_state(reason, _reason_data(alarm, rule, points), state)
        _log.info("alarm %s: %s -> %s. %s", alarm.name, previous["value"], state, reason)
        actions.announce(alarm, previous)

    def _points(self, alarm: Any, count: int, now: float) -> list[float | None]:
        """The values of the last `count` periods, oldest first.

        As on AWS they end at the last full minute: an alarm over five minutes looks every minute at the last five.
        """
        period = alarm_rules.period_of(alarm)
        length, step = self._context.real_seconds(period), self._context.real_seconds(min(period, 60))
        end = now // step * step
        return [self._value(alarm, end - back * length, length) for back in range(count, 0, -1)]

    def _value(self, alarm: Any, start: float, length: float) -> float | None:
        """The alarm's value in one period; None without data. start and length in real seconds."""
        if not alarm.metric_data_queries:
            statistic = alarm.statistic or alarm.extended_statistic
            return self._statistic(alarm_rules.metric_of(alarm), statistic, alarm.unit, start, length)
        series: dict[str, dict[float, float]] = {}
        for query in alarm.metric_data_queries:
            if query.metric_stat:
                value = self._stat(query.metric_stat, start, length)
                series[query.id] = {} if value is None else {start: value}
        for query in alarm.metric_data_queries:
            if not query.metric_stat:
                series[query.id] = expression.evaluate(query.expression, series)
        wanted = next(query.id for query in alarm.metric_data_queries if query.return_data is not False)
        return series[wanted].get(start)

    def _stat(self, asked: Any, start: float, length: float) -> float | None:
        dimensions = frozenset((each.name, each.value) for each in asked.metric.dimensions)
        metric = Metric(asked.metric.namespace, asked.metric.metric_name, dimensions)
        return self._statistic(metric, asked.stat, asked.unit, start, length)

    def _statistic(self, metric: Metric, statistic: str, unit: str | None, start: float, length: float) -> float | None:
        data = self._arrivals.between(metric, start, start + length)
        data = [datum for datum in data if unit is None or datum.unit == unit]
        return statistic_of(statistic, data) if data else None


def _backend() -> Any:
    from moto.cloudwatch.models import cloudwatch_backends  # noqa: PLC0415 - moto is heavy

    return cloudwatch_backends[twins.ACCOUNT][twins.current().region]


def _reason_data(alarm: Any, rule: alarm_rules.Rule, points: list[float | None]) -> str:
    recent = [value for value in points if value is not None][-rule.periods :]
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": now,
            "statistic": alarm.statistic or alarm.extended_statistic,
            "period": alarm_rules.period_of(alarm),
            "recentDatapoints": recent,
            "threshold": rule.threshold,
        }
    )
