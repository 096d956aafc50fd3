"""Scheduled rules and EventBridge Scheduler's schedules fire, on the scaled clock.

`Schedules(context).start()` begins, `stop()` ends. Rules that are enabled, disabled or changed meanwhile are followed.
An event's `time` is the time by the real clock, as that of everything else that the application sees.
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from twin import context as twins
from twin.clock import Clock
from twin.context import Context
from twin.events import bus, expressions, targets

_LOOK_SECONDS = 0.1
_END_SECONDS = 2.0

_log = logging.getLogger("usher.twin.events")


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something that is scheduled. key: what makes it a new one when it changes."""

    key: tuple[str, ...]
    schedule: expressions.Schedule
    thing: Any
    one_time: bool = False


@dataclass(slots=True)
class _Pending:
    began: datetime.datetime
    due: datetime.datetime | None


class Schedules:
    """A service of the twin; `tick` is one look, for tests without a thread."""

    def __init__(self, context: Context, clock: Clock | None = None) -> None:
        self._clock = clock or Clock(context.speed)
        self._context = context
        self._pending: dict[tuple[str, ...], _Pending] = {}
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

    def tick(self) -> None:
        """Fire what is due. What was missed, because the machine slept, fires once."""
        now = self._clock.now()
        entries = {entry.key: entry for entry in _entries()}
        for gone in self._pending.keys() - entries.keys():
            del self._pending[gone]
        for key, entry in entries.items():
            if key not in self._pending:
                self._pending[key] = self._begin(entry, now)
            pending = self._pending[key]
            if pending.due is not None and pending.due <= now:
                pending.due = None if entry.one_time else entry.schedule.next_after(now, pending.began)
                _fire(entry.thing, over=entry.one_time)

    def _begin(self, entry: _Entry, now: datetime.datetime) -> _Pending:
        if isinstance(entry.schedule, expressions.At):
            # A moment that the application has computed from the real clock: as many of AWS's seconds from now.
            return _Pending(now, self._clock.from_real(entry.schedule.when))
        return _Pending(now, entry.schedule.next_after(now, now))

    def _run(self) -> None:
        while not self._stopping.wait(self._pause_seconds()):
            try:
                self.tick()
            except Exception:  # noqa: BLE001 - one bad schedule must not stop the others
                _log.exception("a schedule could not be followed")

    def _pause_seconds(self) -> float:
        due = [pending.due for pending in self._pending.values() if pending.due]
        return min([_LOOK_SECONDS, *(self._clock.real_seconds_until(moment) for moment in due)])


def _entries() -> Iterator[_Entry]:
    """All that is scheduled and enabled, as moto holds it now."""
    from moto.events.models import events_backends  # noqa: PLC0415 - moto is heavy
    from moto.scheduler.models import scheduler_backends  # noqa: PLC0415

    region = twins.current().region
    for rule in list(events_backends[twins.ACCOUNT][region].event_buses["default"].rules.values()):
        if rule.scheduled_expression and rule.state != "DISABLED":
            parsed = expressions.parse(rule.scheduled_expression)
            yield _Entry((rule.arn, rule.scheduled_expression), parsed, rule)
    for group in list(scheduler_backends[twins.ACCOUNT][region].schedule_groups.values()):
        for schedule in list(group.schedules.values()):
            if schedule.state == "ENABLED" and _within(schedule):
                zone, text = schedule.schedule_expression_timezone, schedule.schedule_expression
                parsed = expressions.parse(text, zone, once=True)
                key = (schedule.arn, text, zone, str(schedule.last_modified_date))
                yield _Entry(key, parsed, schedule, isinstance(parsed, expressions.At))


def _within(schedule: Any) -> bool:
    """Between StartDate and EndDate, by the real clock."""
    now = datetime.datetime.now(datetime.UTC).timestamp()
    begin, end = schedule.start_date, schedule.end_date
    return (begin is None or _seconds(begin) <= now) and (end is None or now <= _seconds(end))


def _seconds(moment: Any) -> float:
    if isinstance(moment, datetime.datetime):
        return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
    return float(moment)


def _fire(thing: Any, *, over: bool) -> None:
    if hasattr(thing, "scheduled_expression"):
        targets.dispatch(thing, bus.event("aws.events", "Scheduled Event", {}, [thing.arn]))
        return
    target = dict(thing.target)
    job = targets.Delivery(thing.arn, thing.name, target, _payload(thing, target), twins.current())
    targets.send(job)
    if over and thing.action_after_completion == "DELETE":
        _delete(thing)


def _payload(schedule: Any, target: dict[str, Any]) -> str:
    """The target's input, with Scheduler's own placeholders filled; without one, an event as Scheduler makes it."""
    if not target.get("Input"):
        return json.dumps(bus.event("aws.scheduler", "Scheduled Event", {}, [schedule.arn]))
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = {
        "<aws.scheduler.schedule-arn>": schedule.arn,
        "<aws.scheduler.scheduled-time>": now,
        "<aws.scheduler.execution-id>": uuid.uuid4().hex[:16],
        "<aws.scheduler.attempt-number>": "1",
    }
    text = str(target["Input"])
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _delete(schedule: Any) -> None:
    from moto.scheduler.models import scheduler_backends  # noqa: PLC0415 - moto is heavy

    backend = scheduler_backends[twins.ACCOUNT][twins.current().region]
    backend.schedule_groups[schedule.group_name].schedules.pop(schedule.name, None)
