"""AWS's schedule expressions: what they mean, and which are none."""

from __future__ import annotations

import datetime

import pytest

from twin.events import expressions
from twin.events.cron import Cron, ScheduleError


def _next(text: str, after: str, times: int = 1) -> list[str]:
    cron, moment, found = Cron.parse(text), datetime.datetime.fromisoformat(after), []
    for _ in range(times):
        following = cron.next_after(moment)
        assert following is not None
        moment = following
        found.append(moment.isoformat(timespec="minutes"))
    return found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * * *",
        "0 12 * * * *",
        "0 12 ? * ? *",
        "60 12 * * ? *",
        "0 24 * * ? *",
        "0 12 0 * ? *",
        "0 12 32 * ? *",
        "0 12 * 13 ? *",
        "0 12 ? * 8 *",
        "0 12 ? * MON#6 *",
        "0 12 * FOO ? *",
        "0 12 40W * ? *",
        "*/0 12 * * ? *",
        "0 12 * * ? 1969",
        "0 -1 * * ? *",
    ],
)
def test_an_invalid_expression_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        Cron.parse(text)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(5 seconds)",
        "rate(-1 days)",
        "every",
        "cron",
        "at(x)",
    ],
)
def test_an_invalid_rate_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleError):
        expressions.parse(expression, once=True)


def test_a_rule_cannot_come_only_once() -> None:
    with pytest.raises(ScheduleError):
        expressions.parse("at(2026-11-24T12:00:00)")


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ScheduleError, match="unknown time zone 'Mars/Base'"):
        expressions.parse("cron(0 12 * * ? *)", "Mars/Base")


@pytest.mark.parametrize(
    ("text", "after", "found"),
    [
        ("0 12 * * ? *", "2026-11-24T12:00", ["2026-11-25T12:00", "2026-11-26T12:00"]),
        ("0 12 * * ? *", "2026-11-24T11:59:59", ["2026-11-24T12:00"]),
        ("0/15 * * * ? *", "2026-11-24T12:22", ["2026-11-24T12:30", "2026-11-24T12:45", "2026-11-24T13:00"]),
        ("5,35 14 * * ? *", "2026-11-24T14:05", ["2026-11-24T14:35", "2026-11-25T14:05"]),
        ("0 18 ? * MON-FRI *", "2026-11-27T18:00", ["2026-11-30T18:00", "2026-12-01T18:00"]),
        ("0 18 ? * 2-6 *", "2026-11-27T18:00", ["2026-11-30T18:00"]),
        ("0 8 1 * ? *", "2026-11-24T00:00", ["2026-12-01T08:00", "2027-01-01T08:00"]),
        ("0 9 ? * 2#1 *", "2026-11-24T00:00", ["2026-12-07T09:00", "2027-01-04T09:00"]),
        ("0 9 ? * FRIL *", "2026-11-24T00:00", ["2026-11-27T09:00", "2026-12-25T09:00"]),
        ("0 9 L * ? *", "2026-11-24T00:00", ["2026-11-30T09:00", "2026-12-31T09:00"]),
        ("0 9 LW * ? *", "2027-01-01T00:00", ["2027-01-29T09:00", "2027-02-26T09:00"]),
        ("0 9 15W * ? *", "2026-11-01T00:00", ["2026-11-16T09:00", "2026-12-15T09:00"]),
        ("0 9 1W * ? *", "2026-07-15T00:00", ["2026-08-03T09:00"]),
        ("0 9 29 FEB ? *", "2026-11-24T00:00", ["2028-02-29T09:00", "2032-02-29T09:00"]),
        ("0 9 * NOV-JAN ? *", "2027-01-31T09:00", ["2027-11-01T09:00"]),
        ("0 0 ? * SAT-SUN *", "2026-11-24T00:00", ["2026-11-28T00:00", "2026-11-29T00:00", "2026-12-05T00:00"]),
    ],
)  # fmt: skip
def test_the_next_times(text: str, after: str, found: list[str]) -> None:
    assert _next(text, after, len(found)) == found


def test_a_year_that_has_passed_never_comes_again() -> None:
    assert Cron.parse("0 12 * * ? 2025").next_after(datetime.datetime(2026, 1, 1)) is None  # noqa: DTZ001 - no zone
    assert Cron.parse("0 12 31 FEB ? *").next_after(datetime.datetime(2026, 1, 1)) is None  # noqa: DTZ001


def test_a_rate_counts_from_its_beginning() -> None:
    began = datetime.datetime(2026, 11, 24, 12, 0, 20, tzinfo=datetime.UTC)
    every = expressions.parse("rate(5 minutes)")
    assert every.next_after(began, began) == began + datetime.timedelta(minutes=5)
    late = began + datetime.timedelta(minutes=17)
    assert every.next_after(late, began) == began + datetime.timedelta(minutes=20)


def test_a_time_zone_moves_the_hour() -> None:
    noon = expressions.parse("cron(0 12 * * ? *)", "Europe/Vienna")
    winter = datetime.datetime(2026, 1, 10, tzinfo=datetime.UTC)
    summer = datetime.datetime(2026, 7, 10, tzinfo=datetime.UTC)
    assert noon.next_after(winter, winter) == winter.replace(hour=11)
    assert noon.next_after(summer, summer) == summer.replace(hour=10)
