"""AWS's cron expressions: six fields, minutes to year, in which one of the two day fields is a question mark.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
"""

from __future__ import annotations

import calendar
import datetime
import re
from dataclasses import dataclass
from typing import Self

LAST_YEAR = 2199
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_ITEM = re.compile(r"^(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?$")
_NEAREST_WEEKDAY = re.compile(r"^(\d+)W$")
_NTH_WEEKDAY = re.compile(r"^(\w+)#([1-5])$")
_LAST_WEEKDAY = re.compile(r"^(\w+)L$")


class ScheduleError(ValueError):
    """An expression that AWS would refuse; the message names the part."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. Sunday is day 1 of the week, as AWS counts."""

    minutes: frozenset[int]
    hours: frozenset[int]
    day_of_month: str
    months: frozenset[int]
    day_of_week: str
    years: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """`text` is what stands between the parentheses of cron(…). Raises ScheduleError."""
        fields = text.upper().split()
        if len(fields) != 6:
            raise ScheduleError(f"cron needs six fields, {text!r} has {len(fields)}")
        minutes, hours, day_of_month, months, day_of_week, years = fields
        if (day_of_month == "?") == (day_of_week == "?"):
            raise ScheduleError("exactly one of day-of-month and day-of-week must be '?'")
        parsed = cls(
            _numbers(minutes, 0, 59, "minutes"),
            _numbers(hours, 0, 23, "hours"),
            day_of_month,
            _numbers(months, 1, 12, "month", _MONTHS),
            day_of_week,
            _numbers(years, 1970, LAST_YEAR, "year"),
        )
        _days(parsed, 2024, 1)  # a bad day field is an error now, not at night
        return parsed

    def next_after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """The first time later than `moment` (same zone, or none); None when there is no more."""
        earliest = moment.replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
        for year in sorted(year for year in self.years if year >= earliest.year):
            for month in sorted(self.months):
                if (year, month) < (earliest.year, earliest.month):
                    continue
                for day in sorted(_days(self, year, month)):
                    if found := self._time_on(earliest.replace(year=year, month=month, day=1), day, earliest):
                        return found
        return None

    def _time_on(
        self, first_of_month: datetime.datetime, day: int, earliest: datetime.datetime
    ) -> datetime.datetime | None:
        midnight = first_of_month.replace(day=day, hour=0, minute=0)
        if midnight.date() < earliest.date():
            return None
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                if (candidate := midnight.replace(hour=hour, minute=minute)) >= earliest:
                    return candidate
        return None


def _days(cron: Cron, year: int, month: int) -> set[int]:
    """The days of a month that fit."""
    length = calendar.monthrange(year, month)[1]
    if cron.day_of_week == "?":
        return set().union(*(_of_month(item, year, month, length) for item in cron.day_of_month.split(",")))
    return set().union(*(_of_week(item, year, month, length) for item in cron.day_of_week.split(",")))


def _of_month(item: str, year: int, month: int, length: int) -> set[int]:
    if item == "L":
        return {length}
    if item == "LW":
        return {_nearest_weekday(year, month, length, length)}
    if found := _NEAREST_WEEKDAY.match(item):
        day = int(found[1])
        if not 1 <= day <= 31:
            raise ScheduleError(f"day-of-month {item!r} is out of range")
        return {_nearest_weekday(year, month, day, length)} if day <= length else set()
    return {day for day in _numbers(item, 1, 31, "day-of-month") if day <= length}


def _nearest_weekday(year: int, month: int, day: int, length: int) -> int:
    """The working day nearest to a day, within its month."""
    weekday = calendar.weekday(year, month, day)  # Monday is 0
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def _of_week(item: str, year: int, month: int, length: int) -> set[int]:
    by_day = {day: (calendar.weekday(year, month, day) + 1) % 7 + 1 for day in range(1, length + 1)}  # Sunday is 1
    if found := _NTH_WEEKDAY.match(item):
        days = [day for day, weekday in by_day.items() if weekday == _one(found[1])]
        return set(days[int(found[2]) - 1 : int(found[2])])
    if item == "L":
        return {day for day, weekday in by_day.items() if weekday == 7}
    if found := _LAST_WEEKDAY.match(item):
        return {max(day for day, weekday in by_day.items() if weekday == _one(found[1]))}
    wanted = _numbers(item, 1, 7, "day-of-week", _WEEKDAYS)
    return {day for day, weekday in by_day.items() if weekday in wanted}


def _one(name: str) -> int:
    return next(iter(_numbers(name, 1, 7, "day-of-week", _WEEKDAYS)))


def _numbers(field: str, low: int, high: int, what: str, names: list[str] | None = None) -> frozenset[int]:
    """The values of a field: lists of `*`, numbers or names, ranges and steps."""
    found: set[int] = set()
    for item in field.split(","):
        parts = _ITEM.match(item)
        if parts is None:
            raise ScheduleError(f"{what} {item!r} is not valid")
        first = low if parts["first"] == "*" else _number(parts["first"], low, what, names)
        last = high if parts["first"] == "*" or (parts["step"] and not parts["last"]) else first
        if parts["last"]:
            last = _number(parts["last"], low, what, names)
        step = int(parts["step"] or 1)
        if not (low <= first <= high and low <= last <= high) or step < 1:
            raise ScheduleError(f"{what} {item!r} is out of range")
        span = (
            range(first, last + 1, step) if first <= last else [*range(first, high + 1), *range(low, last + 1)][::step]
        )
        found.update(span)
    return frozenset(found)


def _number(text: str, low: int, what: str, names: list[str] | None) -> int:
    if names and text in names:
        return names.index(text) + low
    if not text.isdecimal():
        raise ScheduleError(f"{what} {text!r} is not valid")
    return int(text)
