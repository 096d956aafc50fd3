"""The TTL cache: how long a value is served, and what each policy does when it cannot be read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from usher.api.ttl_cache import RETRY_SECONDS, ServeStale, TtlCache

TTL = 30.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def reading(*answers: Any) -> Callable[[], Any]:
    """Gives the answers one after another; an exception is raised."""
    left = list(answers)

    def read() -> Any:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return read


@pytest.mark.parametrize("stale", [None, ServeStale(lambda _: None)])
def test_a_value_is_served_for_its_time_to_live(clock: Clock, stale: Any) -> None:
    cache = TtlCache(reading("first", "second"), TTL, clock, stale)
    assert cache.get() == "first"
    clock.now = TTL - 0.1
    assert cache.get() == "first"
    clock.now = TTL
    assert cache.get() == "second"


def test_a_caller_may_ask_for_a_fresher_value_but_not_for_an_older_one(clock: Clock) -> None:
    cache = TtlCache(reading("first", "second", "third"), TTL, clock)
    assert cache.get() == "first"
    clock.now = 5.0
    assert cache.get(10.0) == "first"
    assert cache.get(5.0) == "second"
    clock.now += TTL
    assert cache.get(1000.0) == "third"


def test_a_clock_that_was_set_back_makes_the_value_old(clock: Clock) -> None:
    clock.now = 100.0
    cache = TtlCache(reading("first", "second"), TTL, clock)
    cache.get()
    clock.now = 50.0
    assert cache.get() == "second"


def test_without_a_policy_a_failed_read_is_raised_and_none_is_cached(clock: Clock) -> None:
    cache = TtlCache(reading(None, OSError("away"), "second"), TTL, clock)
    assert (cache.get(), cache.get()) == (None, None)
    clock.now = TTL
    with pytest.raises(OSError, match="away"):
        cache.get()
    assert cache.get() == "second"


def test_serve_stale_serves_the_old_value_and_retries_after_the_interval(clock: Clock) -> None:
    failures: list[Exception] = []
    cache = TtlCache(reading("first", OSError("1"), OSError("2"), "second"), TTL, clock, ServeStale(failures.append))
    assert cache.get() == "first"
    clock.now = TTL
    assert [cache.get(), cache.get()] == ["first", "first"]
    assert len(failures) == 1
    clock.now += RETRY_SECONDS
    assert (cache.get(), len(failures)) == ("first", 2)
    clock.now += RETRY_SECONDS
    assert (cache.get(), len(failures)) == ("second", 2)


def test_serve_stale_does_not_cache_none(clock: Clock) -> None:
    cache = TtlCache(reading(None, None, "first"), TTL, clock, ServeStale(lambda _: None))
    assert [cache.get(), cache.get(), cache.get(), cache.get()] == [None, None, "first", "first"]


def test_serve_stale_without_a_value_tries_at_each_call(clock: Clock) -> None:
    failures: list[Exception] = []
    cache = TtlCache(reading(OSError("1"), OSError("2"), "first"), TTL, clock, ServeStale(failures.append))
    assert [cache.get(), cache.get(), cache.get()] == [None, None, "first"]
    assert len(failures) == 2


def test_serve_stale_may_wait_while_there_is_no_value(clock: Clock) -> None:
    failures: list[Exception] = []
    stale = ServeStale(failures.append, wait_if_none=True)
    cache = TtlCache(reading(OSError("1"), "first"), TTL, clock, stale)
    assert [cache.get(), cache.get()] == [None, None]
    assert len(failures) == 1
    clock.now = RETRY_SECONDS
    assert cache.get() == "first"


def test_the_last_try_is_made_only_while_there_is_no_value(clock: Clock) -> None:
    failures: list[Exception] = []
    stale = ServeStale(failures.append, last_try=reading(OSError("patient"), "first"))
    cache = TtlCache(reading(OSError("1"), OSError("2"), OSError("3")), TTL, clock, stale)
    assert (cache.get(), len(failures)) == (None, 2)
    assert (cache.get(), len(failures)) == ("first", 3)
    clock.now = TTL
    assert (cache.get(), len(failures)) == ("first", 4)
