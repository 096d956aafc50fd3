"""Strata as they come from the table: inconsistent ones are left out with a reason, and nothing is counted twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.experiments.stats.strata import MOST_USERS, CountError, RoleCount, Stratum, sift


def stratum(version: int = 1, weight: float = 0.5, **changed: RoleCount) -> Stratum:
    counts = {"champion": RoleCount(100, 10, 10.0, 10.0), "challenger": RoleCount(100, 12, 12.0, 12.0), **changed}
    return Stratum(version, weight, **counts)


def item(**changed: Any) -> dict[str, Any]:
    role = {"n": Decimal(100), "c": Decimal(10), "sum_y": Decimal("9.5"), "sum_y2": Decimal("9.1")}
    weights = {"champion": Decimal("0.9"), "challenger": Decimal("0.1")}
    return {"version": Decimal(7), "weights": weights, "champion": role, "challenger": role, **changed}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (stratum(challenger=RoleCount(100, 101)), "challenger: 101 conversions of 100 users"),
        (stratum(champion=RoleCount(-1, 0)), "champion: a negative count"),
        (stratum(champion=RoleCount(10, -1)), "champion: a negative count"),
        (stratum(champion=RoleCount(MOST_USERS + 1, 0)), "a stratum has at most"),
        (stratum(champion=RoleCount(0, 0), challenger=RoleCount(0, 0)), "no user was enrolled"),
        (stratum(weight=0.0), "challenger: 100 users although its weight is 0"),
        (stratum(weight=1.0), "champion: 100 users although its weight is 0"),
        (stratum(weight=1.5), "weight 1.5 is not between 0 and 1"),
        (stratum(weight=float("nan")), "weight nan is not between 0 and 1"),
        (stratum(challenger=RoleCount(100, 5, float("inf"), 1.0)), "sums of rewards"),
        (stratum(challenger=RoleCount(100, 5, 101.0, 50.0)), "sums of rewards"),
        (stratum(challenger=RoleCount(100, 5, 3.0, 4.0)), "sums of rewards"),
        (stratum(challenger=RoleCount(100, 5, 3.0, -1.0)), "sums of rewards"),
    ],
)
def test_what_cannot_be_true_is_not_counted_with_its_reason(fault: Stratum, reason: str) -> None:
    good = stratum(2)
    taken, apart = sift([fault, good], last_version=0)
    assert taken == [good]
    assert len(apart) == 1
    assert reason in apart[0].reason
    assert apart[0].what == "stratum 1"


def test_a_stratum_that_comes_twice_in_one_call_is_counted_once() -> None:
    taken, apart = sift([stratum(3), stratum(3)], last_version=0)
    assert [one.version for one in taken] == [3]
    assert "came twice" in apart[0].reason


def test_a_stratum_that_was_counted_before_or_comes_too_late_is_not_counted() -> None:
    taken, apart = sift([stratum(4), stratum(3), stratum(5)], last_version=4)
    assert [one.version for one in taken] == [5]
    assert [one.what for one in apart] == ["stratum 3", "stratum 4"]


def test_strata_out_of_order_in_one_call_are_put_in_order() -> None:
    taken, apart = sift([stratum(9), stratum(7), stratum(8)], last_version=6)
    assert [one.version for one in taken] == [7, 8, 9]
    assert not apart


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": {"champion": 0.5, "challenger": 0.6}}, "do not sum to one"),
        ({"weights": {"champion": 1.5, "challenger": -0.5}}, "do not sum to one"),
        ({"weights": None}, "stratum 7: weights is missing"),
        ({"champion": {"n": 1}}, "stratum 7, champion: c is 'None', not a number"),
        ({"champion": {"n": 1.5, "c": 0}}, "n is 1.5, not a whole number"),
        ({"champion": {"n": "many", "c": 0}}, "n is 'many', not a number"),
        ({"champion": {"n": True, "c": 0}}, "n is 'True', not a number"),
        ({"champion": {"n": Decimal("NaN"), "c": 0}}, "not a number"),
        ({"champion": {"n": 10**400, "c": 0}}, "not a number"),
        ({"version": None}, "version is 'None', not a number"),
    ],
)
def test_a_malformed_item_is_refused_in_one_line(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(CountError, match=message) as error:
        Stratum.read(item(**changed))
    assert "\n" not in str(error.value)


def test_an_item_as_the_table_returns_it_is_read() -> None:
    read = Stratum.read(item())
    assert read == Stratum(7, 0.1, RoleCount(100, 10, 9.5, 9.1), RoleCount(100, 10, 9.5, 9.1))
    assert sift([read], 6) == ([read], [])


@given(st.lists(st.integers(-5, 30), max_size=12), st.integers(-5, 30))
def test_every_stratum_is_either_counted_in_order_or_left_out(versions: list[int], last: int) -> None:
    taken, apart = sift([stratum(version) for version in versions], last)
    assert len(taken) + len(apart) == len(versions)
    counted = [one.version for one in taken]
    assert counted == sorted(set(counted))
    assert all(version > last for version in counted)
    assert set(counted) == {version for version in versions if version > last}
