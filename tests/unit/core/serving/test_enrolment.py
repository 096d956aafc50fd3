"""Who enrols in an experiment, with which variant, and that two first requests at once agree."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from usher.schema.ids import hash_user_id
from usher.schema.signing import verify
from usher.store import keys
from usher.store.exposures import TTL_SECONDS
from usher.store.router import Router, write_router

if TYPE_CHECKING:
    from tests.unit.core.serving.conftest import Api

NOW = 1_800_000_000
KEY = b"k" * 64
NAME = "xrtest-2"
WINDOW = 3600
TESTING = Router(2, NOW, "testing", NAME, "A", {"A": 0.5, "B": 0.5}, {"A": "rtest-1", "B": "rtest-2"})
USERS = [f"u{n}" for n in range(30)]


def test_the_first_recommendation_enrols_and_the_id_says_so(opened: Api) -> None:
    opened.now = NOW + 0.25
    variants = {}
    for user in USERS:
        variant, said = opened.serve(user)
        kept = opened.exposure(user)
        assert kept is not None
        assert (kept["variant"], kept["version"], kept["enrolled_at"]) == (variant, 2, NOW + 0.25)
        assert kept["GSI1pk"] == keys.exposure_shard(NAME, 2, hash_user_id(user))
        assert kept["expires_at"] == NOW + TTL_SECONDS
        assert (said.experiment, said.version, said.variant, said.user) == (NAME, 2, variant, hash_user_id(user))
        variants[user] = variant
    assert set(variants.values()) == {"A", "B"}
    assert {experiment for experiment, _, _ in opened.told.asked} == {NAME}
    assert [variant for _, variant, _ in opened.told.asked] == list(variants.values())


def test_who_is_enrolled_stays_whatever_the_weights_do_later(opened: Api) -> None:
    before = {user: opened.serve(user)[0] for user in USERS}
    kept = [opened.exposure(user) for user in USERS]
    opened.route(weights={"A": 0.95, "B": 0.05})
    assert {user: opened.serve(user)[0] for user in USERS} == before
    assert [opened.exposure(user) for user in USERS] == kept


def test_after_the_window_the_hash_decides_and_the_exposure_stays_as_it_was(opened: Api) -> None:
    user = opened.given_to("B")[0]
    opened.expose(user, "A")
    opened.now = NOW + WINDOW - 0.5
    assert opened.serve(user)[0] == "A"
    opened.now = NOW + WINDOW
    variant, said = opened.serve(user)
    assert (variant, said.experiment) == ("B", NAME)
    kept = opened.exposure(user)
    assert kept is not None and (kept["variant"], kept["enrolled_at"]) == ("A", NOW)


@pytest.mark.parametrize("state", ["frozen", "baking", "idle"])
def test_nobody_enrols_unless_the_experiment_is_testing(opened: Api, state: Any) -> None:
    opened.expose("u0", "B")
    opened.route(state=state, experiment_id="" if state == "idle" else NAME)
    said = {user: opened.serve(user)[1].experiment for user in USERS}
    assert {user for user, experiment in said.items() if experiment} == ({"u0"} if state != "idle" else set())
    assert [user for user in USERS if opened.exposure(user)] == ["u0"]


def test_a_session_of_nobody_goes_to_the_champion_and_counts_for_no_experiment(opened: Api) -> None:
    for _ in range(3):
        body = opened("/recommendations", {"session": [{"item_id": "m0"}]})[1]
        assert (body["variant"], verify(body["recommendation_id"], [KEY]).experiment) == ("A", "")
    assert opened.told.asked == [("", "A", ())] * 3
    assert not [item for item in opened.table.scan()["Items"] if item["sk"].startswith("EXPOSURE#")]


def test_a_session_of_somebody_enrols_them(opened: Api) -> None:
    opened("/recommendations", {"session": [{"item_id": "m0"}], "user_id": "u0"})
    assert opened.exposure("u0") is not None


def test_roles_keep_their_people_whichever_variant_holds_which(opened: Api) -> None:
    challengers = opened.given_to("B")
    opened.record("xturned", champion="B", challenger="A")
    opened.route(experiment_id="xturned", champion="B")
    assert [user for user in USERS if opened.serve(user)[0] == "A"] == challengers


def test_a_salt_of_its_own_splits_people_anew(opened: Api) -> None:
    challengers = opened.given_to("B")
    opened.record("xsalted", salt="other")
    opened.route(experiment_id="xsalted")
    assert [user for user in USERS if opened.serve(user)[0] == "B"] != challengers


def test_of_two_first_requests_at_once_both_are_served_the_variant_that_was_written_first(opened: Api) -> None:
    """Two environments, one of which still has the router before: both read no exposure, both ask, one writes."""
    user = opened.given_to("B")[0]
    slow, fast = opened, replace(opened, _service=None)
    slow.variants.modes["B"] = "held"
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(slow.serve(user)))
    assert slow("/health")[1]["version"] == 2
    thread.start()
    wait_for(lambda: any(variant == "B" for variant, _ in opened.variants.asked))
    write_router(opened.table, replace(TESTING, version=3, weights={"A": 1.0, "B": 0.0}))
    assert fast.serve(user)[0] == "A"
    opened.variants.release.set()
    thread.join(30)
    ((variant, said),) = answers
    assert (variant, said.variant, said.experiment) == ("A", "A", NAME)
    kept = opened.exposure(user)
    assert kept is not None and (kept["variant"], kept["version"]) == ("A", 3)


def test_many_first_requests_at_once_leave_one_exposure_that_all_of_them_name(opened: Api) -> None:
    user = opened.given_to("B")[0]
    assert opened("/health")[0] == 200
    opened.variants.modes["B"] = "held"
    answers: list[Any] = []
    environments = [replace(opened, _service=None) for _ in range(6)]
    for environment in environments:
        environment.service()
    threads = [threading.Thread(target=lambda e=e: answers.append(e.serve(user))) for e in environments]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(opened.variants.asked) == len(threads))
    opened.variants.release.set()
    for thread in threads:
        thread.join(30)
    assert [(variant, said.experiment) for variant, said in answers] == [("B", NAME)] * len(threads)
    assert not opened.told.unwritten_


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
