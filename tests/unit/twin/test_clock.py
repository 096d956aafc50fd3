"""The scaled clock, with a clock behind it that tests turn by hand."""

from __future__ import annotations

import datetime

from twin.clock import Clock

NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)


def test_it_runs_as_many_times_faster_as_its_speed() -> None:
    real = [100.0]
    clock = Clock(60.0, lambda: real[0], NOON)
    assert clock.now() == NOON
    real[0] += 2.5
    assert clock.now() == NOON + datetime.timedelta(minutes=2, seconds=30)


def test_what_has_passed_is_waited_for_no_more() -> None:
    clock = Clock(10.0, lambda: 0.0, NOON)
    assert clock.real_seconds_until(NOON - datetime.timedelta(hours=1)) == 0
    assert clock.real_seconds_until(NOON + datetime.timedelta(seconds=50)) == 5


def test_a_moment_of_the_calendar_is_as_far_away_in_awss_seconds() -> None:
    real = [0.0]
    clock = Clock(10.0, lambda: real[0], NOON)
    real[0] = 60.0  # ten minutes later on AWS's side, one by the calendar
    by_the_calendar = NOON + datetime.timedelta(minutes=1)
    due = clock.from_real(by_the_calendar + datetime.timedelta(minutes=5), by_the_calendar)
    assert clock.real_seconds_until(due) == 30
