"""`not_released_after` means the same in the scorer and the popularity fallback: to the day, undated items kept."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.schema.release_dates import ALWAYS, release_limit, released_since
from usher.serving.fallback import from_lists
from usher.serving.request import Request
from usher.store.popular import PopularLists, describe, make_lists
from usher_scorer.catalogue import Catalogue

DAYS = st.dates(date(1800, 1, 1), date(2099, 12, 31))
LIMITS = st.one_of(DAYS.map(str), st.integers(1, 9999).map(lambda year: f"{year:04d}"))
#: (year or 0, epoch seconds or None): dated to the second, by the year alone, or undated.
RELEASES = st.one_of(
    st.just((0, None)),
    st.integers(1, 2100).map(lambda year: (year, None)),
    st.tuples(DAYS, st.integers(0, 86_399)).map(lambda at: (at[0].year, seconds(at[0]) + at[1])),
)


def seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def catalogue_of(releases: list[tuple[int, float | None]]) -> Catalogue:
    names = tuple(f"i{n}" for n in range(len(releases)))
    released = np.array([np.nan if at is None else at for _, at in releases], np.float64)
    return Catalogue(names, names, ((),) * len(names), np.array([year for year, _ in releases], np.int64), released)


def by_scorer(catalogue: Catalogue, limit: str) -> set[str]:
    return {catalogue.ids[n] for n in np.flatnonzero(catalogue.not_released_after(limit))}


def by_fallback(catalogue: Catalogue, limit: str) -> set[str]:
    """Through the popularity lists as they are made from the bundle and stored as JSON."""
    items: list[dict[str, Any]] = [
        {"item_id": item_id, **describe(json.loads(line))}
        for item_id, line in zip(catalogue.ids, catalogue.lines(), strict=True)
    ]
    stored = json.loads(json.dumps(make_lists([0.0] * len(items), items)))
    lists = PopularLists("r1-1", tuple(stored["all"]), {})
    answer = from_lists(lists, Request("popular", limit=100, not_released_after=limit), ())
    return {item["item_id"] for item in answer.items}


@given(st.lists(RELEASES, max_size=20), LIMITS)
def test_scorer_and_fallback_keep_the_same_items(releases: list[tuple[int, float | None]], limit: str) -> None:
    catalogue = catalogue_of(releases)
    assert by_scorer(catalogue, limit) == by_fallback(catalogue, limit)


@pytest.mark.parametrize("limit", ["0001", "1995", "2005-06-30"])
def test_both_keep_undated_items(limit: str) -> None:
    catalogue = catalogue_of([(0, None)])
    assert by_scorer(catalogue, limit) == by_fallback(catalogue, limit) == {"i0"}


@given(DAYS, st.integers(0, 86_399))
def test_both_compare_a_full_date_to_the_day(day: date, second: int) -> None:
    catalogue = catalogue_of([(day.year, seconds(day) + second)])
    for kept, limit in ((True, day), (False, day - timedelta(days=1))):
        assert by_scorer(catalogue, str(limit)) == by_fallback(catalogue, str(limit)) == ({"i0"} if kept else set())


@given(st.integers(2, 2100), st.integers(0, 364))
def test_both_count_an_item_of_a_year_as_released_on_its_first_day(year: int, day: int) -> None:
    catalogue, within = catalogue_of([(year, None)]), date(year, 1, 1) + timedelta(days=day)
    for limit in (str(within), f"{year:04d}"):
        assert by_scorer(catalogue, limit) == by_fallback(catalogue, limit) == {"i0"}
    before = f"{year - 1:04d}-12-31"
    assert by_scorer(catalogue, before) == by_fallback(catalogue, before) == set()


@given(LIMITS, st.one_of(st.none(), st.integers(0, 9999)), st.one_of(st.none(), st.floats(-1e10, 1e10)))
def test_the_filter_is_the_comparison_of_year_or_date(limit: str, year: int | None, at: float | None) -> None:
    end = release_limit(limit)
    expected = at < end if at is not None else (year or 0) <= int(limit[:4])
    assert (released_since(year, at) < end) is expected


def test_an_item_without_year_and_date_was_always_released() -> None:
    assert released_since(None, None) == released_since(0, float("nan")) == ALWAYS


@pytest.mark.parametrize("text", ["", "soon", "0000", "20050630", "2005-13-01", "2005-W26-4", "٢٠٠٥", "99999"])
def test_what_is_not_a_year_or_a_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give a year or a date as 2005-06-30"):
        release_limit(text)
