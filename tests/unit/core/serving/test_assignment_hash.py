"""The role that serves a user: shares, stickiness, the least movement, and never a role at weight zero."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.serving.assignment import Enrolment, Placement, Split, WeightError, assigned_role, place

HALF = {"champion": 0.5, "challenger": 0.5}


def split(challenger: float) -> Split:
    return Split("salt", {"champion": 1 - challenger, "challenger": challenger}, 3600.0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"champion": 0.5, "challenger": 0.6}, "sum to 1.1: they must sum to one"),
        ({"champion": 1.5, "challenger": -0.5}, "the weight of champion is 1.5"),
        ({"champion": math.nan, "challenger": 1.0}, "the weight of champion is nan"),
        ({}, "sum to 0"),
    ],
)
def test_weights_that_are_not_probabilities_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(WeightError, match=message):
        assigned_role("salt", "user", weights)


def test_a_role_at_weight_zero_is_never_served_also_to_those_who_enrolled_in_it() -> None:
    enrolment = Enrolment("challenger", enrolled_at=100.0)
    assert place(split(0.0), "user", enrolment, 200.0) == Placement("champion", enrols=False)
    assert all(
        assigned_role("salt", f"user-{number}", {"champion": 1.0, "challenger": 0.0}) == "champion"
        for number in range(500)
    )


def test_an_enrolment_holds_until_the_window_ends_and_then_the_hash_decides() -> None:
    user = next(user for user in map(str, range(100)) if assigned_role("salt", user, HALF) == "champion")
    enrolment = Enrolment("challenger", enrolled_at=1000.0)
    assert place(split(0.5), user, enrolment, 1000.0 + 3599).role == "challenger"
    assert place(split(0.5), user, enrolment, 1000.0 + 3600).role == "champion"


def test_a_returning_user_does_not_enrol_again() -> None:
    late = place(split(0.5), "user", Enrolment("challenger", enrolled_at=0.0), 1e6)
    assert not late.enrols
    assert place(split(0.5), "user", None, 1e6).enrols


def test_an_enrolment_from_the_future_does_not_hold() -> None:
    user = next(user for user in map(str, range(100)) if assigned_role("salt", user, HALF) == "champion")
    assert place(split(0.5), user, Enrolment("challenger", enrolled_at=5000.0), 1000.0).role == "champion"


def test_at_a_promotion_everybody_is_served_the_challenger() -> None:
    enrolment = Enrolment("champion", enrolled_at=0.0)
    assert place(split(1.0), "user", enrolment, 10.0) == Placement("challenger", enrols=False)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_users_are_assigned_in_proportion_to_the_weights(share: float) -> None:
    users = 20_000
    weights = {"champion": 1 - share, "challenger": share}
    got = sum(assigned_role("salt", str(number), weights) == "challenger" for number in range(users)) / users
    assert got == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / users))


def test_a_weight_change_moves_only_the_users_it_must() -> None:
    users = [str(number) for number in range(20_000)]
    before = [assigned_role("salt", user, {"champion": 0.9, "challenger": 0.1}) for user in users]
    after = [assigned_role("salt", user, HALF) for user in users]
    moves = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert set(moves) == {("champion", "challenger")}
    assert len(moves) / len(users) == pytest.approx(0.4, abs=0.015)


def test_with_three_roles_a_weight_change_moves_the_total_variation() -> None:
    first, second = {"a": 0.34, "b": 0.33, "c": 0.33}, {"a": 0.2, "b": 0.2, "c": 0.6}
    users = [str(number) for number in range(20_000)]
    moved = sum(assigned_role("salt", user, first) != assigned_role("salt", user, second) for user in users) / len(
        users
    )
    assert moved == pytest.approx(0.27, abs=0.015)


def test_another_salt_is_another_assignment() -> None:
    same = (
        sum(assigned_role("one", str(user), HALF) == assigned_role("two", str(user), HALF) for user in range(10_000))
        / 10_000
    )
    assert same == pytest.approx(0.5, abs=0.02)


@given(st.text(max_size=40), st.text(max_size=40), st.floats(0, 1))
def test_the_same_user_is_always_assigned_the_same_way(salt: str, user: str, share: float) -> None:
    weights = {"champion": 1 - share, "challenger": share}
    role = assigned_role(salt, user.encode("utf-8", "ignore").decode(), weights)
    assert role == assigned_role(salt, user.encode("utf-8", "ignore").decode(), dict(reversed(weights.items())))
    assert weights[role] > 0
