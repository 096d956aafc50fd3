"""Schedule expressions: rate(5 minutes), cron(0 12 * * ? *), at(2026-11-24T12:00:00)."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from dataclasses import dataclass
from typing import Protocol

from twin.events.cron import Cron, ScheduleError

__all__ = ["At", "CronSchedule", "Rate", "Schedule", "ScheduleError", "parse"]

_FORM = re.compile(r"^(rate|cron|at)\((.*)\)$")
_RATE = re.compile(r"^([1-9]\d{0,8}) (minute|hour|day)(s?)$")
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}


class Schedule(Protocol):
    """When something comes."""

    def next_after(self, moment: datetime.datetime, began: datetime.datetime) -> datetime.datetime | None:
        """The first time later than `moment`, UTC; `began` is when the schedule was made or enabled; None: never."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so often, counted from the beginning."""

    seconds: int

    def next_after(self, moment: datetime.datetime, began: datetime.datetime) -> datetime.datetime | None:
        """See Schedule."""
        passed = int((moment - began).total_seconds() // self.seconds)
        return began + datetime.timedelta(seconds=(max(0, passed) + 1) * self.seconds)


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """At times of the calendar, in a time zone."""

    cron: Cron
    zone: datetime.tzinfo

    def next_after(self, moment: datetime.datetime, began: datetime.datetime) -> datetime.datetime | None:  # noqa: ARG002
        """See Schedule."""
        local = self.cron.next_after(moment.astimezone(self.zone).replace(tzinfo=None))
        return local.replace(tzinfo=self.zone).astimezone(datetime.UTC) if local else None


@dataclass(frozen=True, slots=True)
class At:
    """Once."""

    when: datetime.datetime

    def next_after(self, moment: datetime.datetime, began: datetime.datetime) -> datetime.datetime | None:  # noqa: ARG002
        """See Schedule."""
        return self.when if self.when > moment else None


def parse(expression: str, zone: str = "UTC", *, once: bool = False) -> Schedule:
    """once: at(…) is allowed (EventBridge Scheduler) or not (rules). Raises ScheduleError."""
    form = _FORM.match(expression)
    if form is None or (form[1] == "at" and not once):
        raise ScheduleError(f"{expression!r} is not a schedule expression")
    kind, text = form[1], form[2]
    if kind == "rate":
        return _rate(text)
    return CronSchedule(Cron.parse(text), _zone(zone)) if kind == "cron" else _at(text, _zone(zone))


def _rate(text: str) -> Rate:
    found = _RATE.match(text)
    if found is None or (int(found[1]) == 1) != (found[3] == ""):
        raise ScheduleError(f"rate({text}) is not a number and a unit that fit: 1 minute, 5 minutes, 2 hours")
    return Rate(int(found[1]) * _UNITS[found[2]])


def _at(text: str, zone: datetime.tzinfo) -> At:
    try:
        local = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - the zone follows
    except ValueError as error:
        raise ScheduleError(f"at({text}) is not yyyy-mm-ddThh:mm:ss") from error
    return At(local.replace(tzinfo=zone).astimezone(datetime.UTC))


def _zone(name: str) -> datetime.tzinfo:
    if name == "UTC":
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise ScheduleError(f"unknown time zone {name!r}") from error
