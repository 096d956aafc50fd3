"""A profile keeps a user's newest ratings, each once, however many write it at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usher.errors import ProfileContended
from usher.schema.ids import hash_user_id
from usher.store import keys
from usher.store.codec import stored
from usher.store.profiles import ATTEMPTS, RECENT_MAX, SLACK, TTL_SECONDS, ProfileRating, Profiles, read_user

if TYPE_CHECKING:
    from tests.unit.core.feedback.conftest import Desk

WHO = hash_user_id("u")
#: A profile of so many ratings takes no more without letting the oldest go.
BRIM = RECENT_MAX + SLACK


def rated(number: int, at: float | None = None, rating: float = 4.0) -> ProfileRating:
    return ProfileRating(f"i{number}", rating, float(number) if at is None else at, f"event{number}")


def rows(desk: Desk) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk.item(keys.profile(WHO)).get("recent", [])
    return found


def add(desk: Desk, *ratings: ProfileRating) -> Profiles:
    profiles = Profiles(desk.dynamodb.meta.client, "state")
    for one in ratings:
        profiles.add(WHO, one, desk.now)
    return profiles


def fill(desk: Desk, *ratings: ProfileRating) -> None:
    """A profile as so many additions leave it."""
    fields = stored({"recent": [asdict(one) for one in ratings], "revision": len(ratings)})
    desk.table.put_item(Item=keys.profile(WHO).item() | fields | {"events": {one.event for one in ratings}})


def test_a_brimful_profile_lets_the_oldest_go_whatever_the_order_of_arrival(desk: Desk) -> None:
    order = [*range(100, 100 + BRIM - 1), 50, 400, 99, 401]
    fill(desk, *map(rated, order[: BRIM - 2]))
    add(desk, *map(rated, order[BRIM - 2 :]))
    kept = sorted(row["at"] for row in rows(desk))
    assert kept[-RECENT_MAX:] == sorted(order)[-RECENT_MAX:]
    assert RECENT_MAX <= len(kept) < BRIM


def test_a_brimful_profile_takes_an_event_once(desk: Desk) -> None:
    fill(desk, *map(rated, range(BRIM)))
    add(desk, *map(rated, range(BRIM, BRIM + 3)))
    before = rows(desk)
    add(desk, rated(BRIM + 2), rated(BRIM))
    assert rows(desk) == before
    add(desk, rated(0))  # long gone: it comes back as the oldest, which does not count
    assert sorted(row["at"] for row in rows(desk))[-RECENT_MAX:] == [*range(BRIM + 3 - RECENT_MAX, BRIM + 3)]


def test_when_a_profile_is_written_again_one_rating_an_item_stays_the_newest(desk: Desk) -> None:
    again = [ProfileRating("same", 1.0 + (n % 9) / 2, 1000.0 + n, f"again{n}") for n in range(90)]
    fill(desk, *map(rated, range(BRIM - 90)), *again)
    add(desk, rated(9_999))
    kept = [row for row in rows(desk) if row["item_id"] == "same"]
    assert [row["at"] for row in kept] == [1089]
    assert len(rows(desk)) == BRIM - 90 + 2


def test_a_profile_ends_ninety_days_after_its_last_rating(desk: Desk) -> None:
    add(desk, rated(1))
    desk.now += 1000
    add(desk, rated(2))
    assert desk.item(keys.profile(WHO))["expires_at"] == int(desk.now) + TTL_SECONDS


def test_many_who_rate_at_once_lose_nothing(desk: Desk) -> None:
    fill(desk, *map(rated, range(BRIM - 5)))
    profiles = add(desk)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: profiles.add(WHO, rated(n), desk.now), range(1000, 1030)))
    kept = {row["item_id"] for row in rows(desk)}
    assert {f"i{n}" for n in range(1000, 1030)} <= kept and RECENT_MAX <= len(rows(desk)) < BRIM


def test_who_is_never_fast_enough_is_told_and_nothing_is_half_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(desk, *map(rated, range(BRIM)))
    profiles = add(desk)
    before = rows(desk)
    monkeypatch.setattr(profiles, "_rewrite", lambda *_: False)
    with pytest.raises(ProfileContended, match=f"changed {ATTEMPTS} times"):
        profiles.add(WHO, rated(9_999), desk.now)
    assert rows(desk) == before


def test_a_profile_that_is_no_longer_what_was_read_is_not_written_over(desk: Desk) -> None:
    fill(desk, *map(rated, range(BRIM)))
    profiles = add(desk)
    old = desk.table.get_item(Key=keys.profile(WHO).item())["Item"]
    assert profiles._rewrite(WHO, old, rated(500), 1)
    assert not profiles._rewrite(WHO, old, rated(501), 1)
    assert "i501" not in {row["item_id"] for row in rows(desk)}


@pytest.mark.parametrize(
    "item", [{}, {"recent": []}, {"recent": [{"item_id": "old", "rating": 3, "at": 1}]}, {"events": {"x"}}]
)
def test_a_profile_that_something_else_wrote_is_added_to(desk: Desk, item: dict[str, Any]) -> None:
    desk.table.put_item(Item=keys.profile(WHO).item() | item)
    add(desk, rated(1), rated(1), rated(2))
    assert [row["item_id"] for row in rows(desk)][-2:] == ["i1", "i2"]


def test_the_read_path_reads_what_feedback_wrote(desk: Desk) -> None:
    desk.send(
        {"event_id": "e1", "user_id": "u", "item_id": "318", "type": "rating", "value": 4.5, "at": 1_772_366_400.25}
    )
    (recent,) = read_user(desk.table, WHO, "").recent
    assert (recent.item_id, recent.rating, recent.at) == ("318", 4.5, 1_772_366_400.25)


moments = st.integers(0, 60)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(times=st.lists(moments, max_size=15), order=st.randoms(use_true_random=False))
def test_any_ratings_in_any_order_and_any_number_of_times_leave_the_newest(
    desk: Desk, times: list[int], order: Any
) -> None:
    """With a profile of five: what stays are the five newest, however they came."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("usher.store.profiles.RECENT_MAX", 5)
        patch.setattr("usher.store.profiles.SLACK", 3)
        desk.table.delete_item(Key=keys.profile(WHO).item())
        ratings = [ProfileRating(f"i{n}", 3.0, float(at), f"event{n}") for n, at in enumerate(times)]
        sent = [*ratings, *order.choices(ratings, k=5)] if ratings else []
        order.shuffle(sent)
        add(desk, *sent)
    assert sorted(row["at"] for row in rows(desk))[-5:] == sorted(times)[-5:]
    assert len(rows(desk)) <= 5 + 3
    assert len({row["event"] for row in rows(desk)}) == len(rows(desk))
