"""Scheduled rules fire, at the speed of the twin.

`Schedules(context).start()` begins, `stop()` ends. Rules that are enabled, disabled or changed meanwhile are followed.
An event's `time` is the real time, as everything else that the application sees.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

from twin import context as twins
from twin.context import Context
from twin.events import bus, rules

_LOOK_SECONDS = 0.1
_END_SECONDS = 2.0

_log = logging.getLogger("usher.twin.events")


@dataclass(slots=True)
class _Pending:
    """A scheduled rule in real seconds. due: when it fires next, by the monotonic clock."""

    period_seconds: float
    due: float


class Schedules:
    """Fires the scheduled rules of the default bus."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pending: dict[tuple[str, str], _Pending] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)

    def start(self) -> Self:
        """Begin to fire."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Fire no more."""
        self._stopping.set()
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        while not self._stopping.wait(self._pause_seconds()):
            try:
                self._fire_due()
            except Exception:  # noqa: BLE001 - one bad rule must not stop the others
                _log.exception("a scheduled rule could not be followed")

    def _fire_due(self) -> None:
        """Fire what is due. What was missed, because the machine slept, fires once."""
        now = time.monotonic()
        scheduled = {(rule.arn, rule.scheduled_expression): rule for rule in _scheduled_rules()}
        for gone in self._pending.keys() - scheduled.keys():
            del self._pending[gone]
        for key, rule in scheduled.items():
            if key not in self._pending:
                period = self._context.real_seconds(rules.rate_seconds(rule.scheduled_expression))
                self._pending[key] = _Pending(period, now + period)
            pending = self._pending[key]
            if pending.due <= now:
                pending.due += pending.period_seconds * (1 + (now - pending.due) // pending.period_seconds)
                rules.dispatch(rule, bus.event("aws.events", "Scheduled Event", {}, [rule.arn]))

    def _pause_seconds(self) -> float:
        now = time.monotonic()
        return max(0.0, min([_LOOK_SECONDS, *(pending.due - now for pending in self._pending.values())]))


def _scheduled_rules() -> list[Any]:
    """The enabled rules of the default bus that have a schedule."""
    from moto.events.models import events_backends  # noqa: PLC0415 - moto is heavy

    found = list(events_backends[twins.ACCOUNT][twins.current().region].event_buses["default"].rules.values())
    return [rule for rule in found if rule.scheduled_expression and rule.state != "DISABLED"]
