"""Broken challengers, edited records, wrong clocks: repaired or refused with a reason, traffic safe on the champion."""

from __future__ import annotations

from typing import Any

import pytest

from usher.store import keys
from usher.store.codec import stored

EXPERIMENT = "xrbbbbbbbbbb-1"
ROUTER = ("ROUTER", "ROUTER")
META, STATE = keys.experiment(EXPERIMENT), keys.experiment_state(EXPERIMENT)
ALONE = {"A": 1.0, "B": 0.0}


def test_a_challenger_that_errors_is_rolled_back_within_minutes(shift: Any) -> None:
    for _ in range(4):
        shift.answers("A", requests=30)
        shift.answers("B", requests=3, errors=3)
        shift.passes(60)
        if shift.tick()["output"]["decision"] == "roll_back":
            break
    assert shift.router["weights"] == ALONE
    assert "server errors" in shift.last["reason"]
    assert shift.last["numbers"]["log_e_guardrail"] >= shift.last["numbers"]["threshold_guardrail"]


def test_errors_of_both_freeze_the_experiment_and_blame_neither(shift: Any) -> None:
    for _ in range(4):
        for variant, requests in (("A", 60), ("B", 6)):
            shift.answers(variant, requests=requests, errors=requests // 2)
        shift.passes(60)
        shift.tick()
    assert (shift.router["state"], shift.share) == ("frozen", 0.1)
    assert "the champion breaks its own limits" in shift.last["reason"]
    assert len(shift.items("DECISION")) == 1


def test_a_promoted_model_that_breaks_while_it_bakes_is_rolled_back(shift: Any) -> None:
    shift.tick(command=shift.command("promote"))
    for _ in range(3):
        shift.answers("B", requests=40, slow=20)
        shift.passes(60)
        shift.tick()
    assert (shift.router["state"], shift.router["champion"], shift.router["weights"]) == ("idle", "A", ALONE)
    assert (shift.meta["outcome"], shift.last["decision"]) == ("rolled_back", "roll_back")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"weights": {"A": 0.9, "B": 0.3}}, "do not sum to one"),
        ({"weights": {"A": 1.5, "B": -0.5}}, "do not sum to one"),
        ({"weights": {"A": 0.5, "B": 0.5}}, "weights changed"),
        ({"weights": {"A": "much"}}, "its weights are"),
        ({"version": 1}, "version changed"),
        ({"version": 40, "weights": {"A": 0.0, "B": 1.0}}, "version, weights changed"),
        ({"champion": "C"}, "champion 'C'"),
        ({"champion": "B"}, "champion changed"),
        ({"opened_at": 4_000_000_000}, "which is in the future"),
    ],
)
def test_a_router_edited_by_hand_is_repaired_for_the_champion(shift: Any, edit: dict[str, Any], words: str) -> None:
    shift.passes(60)
    shift.tick()
    shift.set(ROUTER, **edit)
    shift.tick()
    router = shift.router
    assert (router["state"], router["champion"], router["weights"]) == ("frozen", "A", ALONE)
    assert router["version"] == max(2, edit.get("version", 0)) + 1
    assert words in shift.last["reason"]
    assert "edited by hand" in shift.items("EPOCH")[0]["void"]
    shift.epoch()
    assert (shift.router["state"], shift.share) == ("testing", 0.1)


def test_a_baking_router_edited_by_hand_is_repaired_for_the_new_champion(shift: Any) -> None:
    shift.tick(command=shift.command("promote"))
    shift.set(ROUTER, weights={"A": 0.5, "B": 0.5})
    shift.tick()
    router = shift.router
    assert (router["state"], router["champion"], router["weights"]) == ("baking", "B", {"A": 0.0, "B": 1.0})
    assert shift.meta["status"] == "baking"


def test_a_router_that_was_closed_by_hand_closes_the_experiment(shift: Any) -> None:
    shift.set(ROUTER, state="idle", experiment_id="", weights={"A": 0.7, "B": 0.3})
    shift.tick()
    assert (shift.router["state"], shift.router["weights"], shift.router["version"]) == ("idle", ALONE, 3)
    assert (shift.meta["status"], shift.meta["outcome"]) == ("closed", "rolled_back")
    assert "edited by hand" in shift.meta["reason"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"evidence": {"schema": 99}}, "schema 99"),
        ({"evidence": {"schema": 1}}, "lacks"),
        ({"evidence": "none"}, "not the state of an experiment"),
        ({"revision": "five", "evidence": None}, "deleted by hand"),
    ],
)
def test_a_state_edited_by_hand_freezes_and_can_be_rolled_back(shift: Any, edit: dict[str, Any], words: str) -> None:
    shift.passes(60)
    shift.tick()
    shift.set(STATE, **edit)
    shift.tick()
    assert (shift.router["state"], shift.router["weights"]) == ("frozen", ALONE)
    assert words in shift.last["reason"]
    shift.epoch()
    assert len(shift.items("DECISION")) == 1
    thaw = shift.command("thaw")
    shift.tick(command=thaw)
    assert [order["status"] for order in shift.items("COMMAND")] == ["refused"]
    shift.tick(command=shift.command("roll_back"))
    assert shift.router["state"] == "idle"


def test_a_deleted_state_freezes_the_experiment_which_ends_undecided(shift: Any) -> None:
    shift.run.table.delete_item(Key=STATE.item())
    shift.tick()
    assert (shift.router["state"], shift.router["weights"]) == ("frozen", ALONE)
    shift.passes(505 * 3600)
    shift.tick()
    assert (shift.router["state"], shift.meta["outcome"]) == ("idle", "inconclusive")


@pytest.mark.parametrize(
    "edit",
    [
        {"champion": "C"},
        {"champion": "B"},
        {"models": {}},
        {"epoch_seconds": "long"},
        {"started_at": 4_000_000_000},
        {"status": "odd"},
        {"preset": "unheard"},
        None,
    ],
)
def test_a_record_edited_by_hand_never_sends_traffic_to_the_challenger(shift: Any, edit: Any) -> None:
    if edit is None:
        shift.run.table.delete_item(Key=META.item())
    else:
        shift.set(META, **edit)
    assert shift.tick()["status"] == "SUCCEEDED"
    assert shift.router["weights"] == ALONE
    shift.passes(60)
    shift.tick()
    assert shift.router["weights"] == ALONE


def test_inconsistent_exposures_are_not_counted_and_the_reason_names_them(shift: Any) -> None:
    shift.enrol_by_weights(users=100, rates=(0.1, 0.1))
    made_up = [
        ({"variant": "C"}, "of an unknown variant"),
        ({"enrolled_at": shift.now + 9999}, "enrolled at a time outside"),
        ({"enrolled_at": "noon"}, "enrolled at a time outside"),
        ({"converted_at": shift.now + 5000, "reward": 1}, "converted outside"),
        ({"converted_at": shift.now + 1, "reward": 7}, "with a reward"),
    ]
    for number, (fields, _) in enumerate(made_up):
        item = shift.exposure("A", 2, shift.now, converted=False, number=number) | fields
        shift.run.table.put_item(Item=stored(item))
    shift.epoch()
    shift.passes(60)
    shift.epoch()
    (stratum,) = shift.items("STRATUM")
    assert (stratum["champion"]["n"], stratum["challenger"]["n"]) == (90, 10)
    assert sum(stratum["faults"].values()) == len(made_up)
    assert all(any(words in fault for fault in stratum["faults"]) for _, words in made_up)
    assert "enrolled at a time outside" in shift.last["reason"]


def test_a_stratum_with_more_conversions_than_users_is_not_counted(shift: Any) -> None:
    role = {"n": 5, "c": 9, "sum_y": 9, "sum_y2": 9}
    item = {"version": 2, "weights": {"champion": 0.9, "challenger": 0.1}, "champion": role, "challenger": role}
    shift.run.table.put_item(Item=keys.stratum(EXPERIMENT, 2).item() | stored(item))
    shift.epoch()
    shift.passes(60)
    shift.epoch()
    assert "9 conversions of 5 users" in shift.last["reason"]
    assert shift.last["numbers"]["users_champion"] == 0
    assert shift.router["state"] == "testing"


def test_a_variant_without_exposures_breaks_the_sample_ratio_not_the_tick(shift: Any) -> None:
    for _ in range(4):
        shift.enrolled((300, 0), (0.1, 0.0))
        shift.epoch()
    assert (shift.router["state"], shift.last["decision"], shift.share) == ("frozen", "freeze", 0.1)
    assert "enrolments do not follow the weights" in shift.last["reason"]


def test_no_promotion_when_outcomes_come_without_ids(shift: Any) -> None:
    shift.outcomes(enrolled=1000, joined=400)
    shift.until("freeze", users=200, rates=(0.15, 0.40))
    assert shift.router["state"] == "frozen"
    assert shift.last["reason"].startswith("not promoted: only 40% of the outcomes")
    assert shift.share < 1


def test_unreadable_metrics_do_not_stop_a_tick(shift: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        from botocore.exceptions import EndpointConnectionError  # noqa: PLC0415

        raise EndpointConnectionError(endpoint_url="https://monitoring")

    from usher.experiments.metrics import Metrics  # noqa: PLC0415

    monkeypatch.setattr(Metrics, "_read", refuse)
    shift.passes(120)
    assert shift.tick()["output"]["decision"] == "continue"
    assert "CloudWatch could not be read" in shift.state["summary"]["blind"]
    shift.epoch()
    assert shift.router["version"] == 3
    shift.until("freeze", users=200, rates=(0.15, 0.40))
    assert shift.last["reason"].startswith("not promoted: CloudWatch could not be read")
