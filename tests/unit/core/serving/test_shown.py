"""GET /experiment: the open experiment or the last one, in plain numbers, without its secret; and how it fails."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from usher.store import keys
from usher.store.codec import stored
from usher.store.router import Router, write_router

if TYPE_CHECKING:
    from tests.unit.core.serving.conftest import Api

NOW = 1_800_000_000
NAME = "xrtest-2"
SUMMARY = {"at": NOW + 60, "decision": "continue", "reason": "nothing speaks against it", "numbers": {"lift": 0.02}}


def shown(api: Api) -> Any:
    status, body = api("/experiment")
    assert status == 200, body
    return body["experiment"]


def test_before_the_first_experiment_there_is_none(api: Api) -> None:
    assert shown(api) is None
    api.table.delete_item(Key=keys.ROUTER.item())
    assert shown(api) is None


def test_the_open_experiment_is_shown_as_the_router_has_it_now_and_without_its_salt(opened: Api) -> None:
    opened.table.put_item(Item=keys.experiment_state(NAME).item() | stored({"summary": SUMMARY}))
    opened.record(champion="B", challenger="A", models={"champion": "rtest-2", "challenger": "rtest-1"})
    assert opened("/health")[0] == 200
    write_router(opened.table, replace(_standing(opened), version=3, weights={"A": 0.05, "B": 0.95}))
    assert shown(opened) == {
        "experiment_id": NAME,
        "status": "open",
        "state": "testing",
        "opened_at": NOW,
        "preset": "default",
        "models": {"champion": "rtest-2", "challenger": "rtest-1"},
        "variants": {"champion": "B", "challenger": "A"},
        "weights": {"champion": 0.95, "challenger": 0.05},
        "summary": SUMMARY,
        "outcome": None,
        "reason": None,
    }
    assert "5a17" not in json.dumps(opened("/experiment")[1])


def test_after_its_end_the_newest_of_both_variants_is_shown(opened: Api) -> None:
    opened.record("xrtest-1", started_at=NOW - 9000, status="closed", outcome="promoted", reason="it was better")
    opened.record(started_at=NOW, status="closed", outcome="retired", reason="it was worse")
    opened.route(state="idle", experiment_id="", weights={"A": 1.0, "B": 0.0})
    found = shown(opened)
    assert (found["experiment_id"], found["state"], found["status"]) == (NAME, "idle", "closed")
    assert (found["outcome"], found["reason"]) == ("retired", "it was worse")
    assert found["weights"] == {"champion": 1.0, "challenger": 0.0}
    opened.route(state="idle", experiment_id="", weights={"A": 1.0, "B": 0.0}, models={"A": "rtest-1", "B": "new"})
    assert shown(opened)["experiment_id"] == "xrtest-1"


def test_weights_of_a_variant_that_holds_another_model_by_now_are_not_the_experiments(opened: Api) -> None:
    opened.record(status="closed", outcome="promoted", models={"champion": "long ago", "challenger": "rtest-2"})
    opened.route(state="idle", experiment_id="", champion="B", weights={"A": 0.0, "B": 1.0})
    assert shown(opened)["weights"] == {"champion": 0.0, "challenger": 1.0}


@pytest.mark.parametrize("damage", [{"models": None}, {"started_at": "soon"}, {"champion": None}])
def test_a_damaged_record_is_said_to_be_unreadable(opened: Api, damage: dict[str, Any]) -> None:
    opened.record(**damage)
    status, body = opened("/experiment")
    assert (status, body["type"]) == (503, "urn:usher:problem:no-answer-yet")
    assert opened.told.unread_ == ["experiment"]
    assert not opened.told.defects


def test_an_experiment_without_its_record_is_not_shown(opened: Api) -> None:
    opened.table.delete_item(Key=keys.experiment(NAME).item())
    assert shown(opened) is None


def test_a_state_out_of_reach_is_said_to_be(opened: Api, failing: set[str]) -> None:
    failing.add("GetItem")
    assert opened("/experiment")[0] == 503


def test_it_takes_no_parameters(api: Api) -> None:
    assert api("/experiment", id="x")[1]["type"] == "urn:usher:problem:unknown-parameter"


def _standing(api: Api) -> Router:
    router = api.service().router.get()
    assert isinstance(router, Router)
    return router
