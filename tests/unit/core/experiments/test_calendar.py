"""An experiment's minutes and CloudWatch's periods."""

from __future__ import annotations

from dataclasses import replace

import pytest

from usher.experiments import metrics
from usher.store.experiments import Meta

NOW = 1_800_000_000  # a whole minute
META = Meta(
    "xr2-1", "s", NOW, 3600, 3600, 60, 3600.0, 86400, "default", "A", "B", {"champion": "r1-1", "challenger": "r2-1"}
)


@pytest.mark.parametrize(
    ("hour_seconds", "period"),
    [(3600.0, 60), (25.0, 1), (60.0, 1), (61.0, 5), (600.0, 10), (1800.0, 30), (1801.0, 60), (7200.0, 120)],
)
def test_a_period_is_one_that_cloudwatch_has_and_no_shorter_than_a_minute(hour_seconds: float, period: int) -> None:
    assert metrics.period_seconds(replace(META, hour_seconds=hour_seconds)) == period


def test_a_period_counts_once_when_it_is_over_and_settled() -> None:
    assert metrics.periods(META, -1, NOW + 89, 100) == []
    assert metrics.periods(META, -1, NOW + 90, 100) == [metrics.Period(NOW, 0)]
    assert metrics.periods(META, 0, NOW + 90, 100) == []
    assert [one.minute for one in metrics.periods(META, 0, NOW + 300, 100)] == [1, 2, 3]
    assert [one.minute for one in metrics.periods(META, 0, NOW + 3000, 2)] == [1, 2]


@pytest.mark.parametrize("hour_seconds", [3600.0, 25.0, 20.0, 100.0, 700.0, 5000.0])
@pytest.mark.parametrize("offset", [0, 1, 17, 59])
def test_every_period_comes_once_and_minutes_grow_for_any_interval_between_ticks(
    hour_seconds: float, offset: int
) -> None:
    meta = replace(META, hour_seconds=hour_seconds, started_at=NOW + offset)
    length, seen, last = metrics.period_seconds(meta), [], -1
    for step in range(1, 60):
        found = metrics.periods(meta, last, NOW + offset + step * length * 0.7, 100)
        seen += found
        last = found[-1].minute if found else last
    minutes, starts = [one.minute for one in seen], [one.start for one in seen]
    assert minutes == sorted(set(minutes))
    assert starts == list(range(starts[0], starts[-1] + 1, length))
    assert starts[0] <= meta.started_at < starts[0] + length


def test_a_start_in_the_future_has_no_periods_and_no_hours() -> None:
    later = replace(META, started_at=NOW + 500)
    assert metrics.periods(later, -1, NOW, 100) == []
    assert later.hours(NOW) == 0
    assert META.hours(NOW + 5400) == 1.5
