"""What the state table does not say, says wrongly, or will not take, in an experiment: everybody is answered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from usher.api.ttl_cache import RETRY_SECONDS
from usher.schema.ids import hash_user_id
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.profiles import PAGE_ITEMS

if TYPE_CHECKING:
    from tests.unit.core.serving.conftest import Api

NOW = 1_800_000_000
NAME = "xrtest-2"
USERS = [f"u{n}" for n in range(30)]


def test_without_its_record_an_experiment_serves_the_champion_and_enrols_nobody(opened: Api) -> None:
    opened.table.delete_item(Key=keys.experiment(NAME).item())
    for _ in range(2):
        for user in USERS:
            variant, said = opened.serve(user)
            assert (variant, said.experiment) == ("A", "")
    assert opened.told.unread_ == ["experiment"]  # and not once a request
    assert {experiment for experiment, _, _ in opened.told.asked} == {""}
    opened.record(NAME)
    opened.now += RETRY_SECONDS
    assert {opened.serve(user)[1].experiment for user in USERS} == {NAME}


@pytest.mark.parametrize(
    "damage",
    [
        {"salt": ""},
        {"salt": None},
        {"challenger": "A"},
        {"challenger": "C"},
        {"champion": ["A"]},
        {"attribution_seconds": "long"},
        {"attribution_seconds": None},
    ],
)
def test_a_record_that_cannot_be_is_as_good_as_none(opened: Api, damage: dict[str, Any]) -> None:
    opened.record(NAME, **damage)
    assert {opened.serve(user)[0] for user in USERS} == {"A"}
    assert opened.told.unread_ == ["experiment"]
    assert not [user for user in USERS if opened.exposure(user)]


@pytest.mark.parametrize(
    "damage",
    [
        {"weights": {"A": 0.9, "B": 0.9}},
        {"weights": {"A": 1.0}},
        {"weights": {"A": "x", "B": 0}},
        {"weights": "half"},
        {"models": {"A": "rtest-1"}},
        {"champion": "C"},
    ],
)
def test_a_router_that_was_edited_into_nonsense_leaves_the_one_before(opened: Api, damage: dict[str, Any]) -> None:
    before = {user: opened.serve(user)[0] for user in USERS}
    item = opened.table.get_item(Key=keys.ROUTER.item())["Item"]
    opened.table.put_item(Item=item | stored(damage))
    opened.now += 31
    assert {user: opened.serve(user)[0] for user in USERS} == before
    assert set(opened.told.unread_) == {"router"}
    fresh = replace(opened, _service=None)
    assert fresh("/recommendations", user_id="u0")[1]["level"] == "popular"


def test_exposures_of_other_experiments_do_not_count_however_many_there_are(opened: Api) -> None:
    user = opened.given_to("B")[0]
    for number in range(PAGE_ITEMS + 4):
        opened.expose(user, "A", experiment=f"x{number:02d}")  # before and behind this one, as names sort
        opened.expose(user, "A", experiment=f"xz{number:02d}")
    profile = {"recent": [{"item_id": "m1", "rating": 5, "at": NOW}]}
    opened.table.put_item(Item=keys.profile(hash_user_id(user)).item() | stored(profile))
    variant, said = opened.serve(user)
    assert (variant, said.experiment) == ("B", NAME)
    assert opened.variants.asked[-1][1]["profile"] == [["m1", 5.0, NOW]]
    opened.expose(user, "A")
    assert opened.serve(user)[0] == "A"


@pytest.mark.parametrize("damage", [{"variant": "C"}, {"enrolled_at": "soon"}, {"version": None}])
def test_a_damaged_exposure_is_no_enrolment_and_is_not_written_over(opened: Api, damage: dict[str, Any]) -> None:
    user = opened.given_to("B")[0]
    kept = keys.exposure(hash_user_id(user), NAME).item() | stored(
        {"variant": "A", "version": 2, "enrolled_at": NOW} | damage
    )
    opened.table.put_item(Item=kept)
    variant, said = opened.serve(user)
    assert (variant, said.experiment) == ("B", "")
    assert opened.exposure(user) == loaded(kept)


def test_an_exposure_of_the_future_binds_nobody(opened: Api) -> None:
    user = opened.given_to("B")[0]
    opened.expose(user, "A", at=NOW + 1_000_000)
    assert opened.serve(user)[0] == "B"


def test_who_cannot_be_read_is_served_and_not_enrolled(opened: Api, failing: set[str]) -> None:
    user = opened.given_to("B")[0]
    opened.serve(opened.given_to("A")[0])
    failing.add("Query")
    variant, said = opened.serve(user)
    assert (variant, said.experiment) == ("B", "")
    assert opened.exposure(user) is None
    assert opened.told.unread_ == ["profile"]
    failing.clear()
    assert opened.serve(user)[1].experiment == NAME


def test_an_exposure_that_cannot_be_written_fails_no_request_and_claims_no_enrolment(
    opened: Api, failing: set[str]
) -> None:
    failing.add("PutItem")
    said = [opened.serve(user)[1].experiment for user in USERS[:4]]
    assert (said, opened.told.unwritten_) == ([""] * 4, ["exposure"] * 4)
    failing.clear()
    assert opened.serve(USERS[0])[1].experiment == NAME


def test_the_state_out_of_reach_in_an_experiment_still_answers(opened: Api) -> None:
    before = {user: opened.serve(user)[0] for user in USERS[:6]}
    opened.table.delete()
    opened.now += 31
    assert {user: opened.serve(user)[0] for user in USERS[:6]} == before  # by the hash, without the exposures
    assert not opened.told.defects
