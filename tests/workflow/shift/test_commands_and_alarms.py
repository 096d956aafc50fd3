"""Alarms and operator commands: executed at once, refused with a reason, never lost."""

from __future__ import annotations

from typing import Any

import pytest

CHAMPION, CHALLENGER = "raaaaaaaaaa-1", "rbbbbbbbbbb-1"
ALONE = {"A": 1.0, "B": 0.0}


def answered(shift: Any, sk: str) -> tuple[str, str]:
    (order,) = [item for item in shift.items("COMMAND") if item["sk"] == sk]
    return order["status"], order["outcome"]


def test_a_rollback_moves_the_traffic_at_once_and_names_operator_and_reason(shift: Any) -> None:
    shift.passes(60)
    sk = shift.command("roll_back", "anna", "complaints")
    found = shift.tick(command=sk)
    assert found["states"] == ["Tick", "ChooseNext", "CheckNextRun", "CompleteSideEffects", "Done"]
    router = shift.router
    assert (router["state"], router["experiment_id"], router["weights"]) == ("idle", "", ALONE)
    last = shift.last
    assert (last["decision"], last["by"], last["why"]) == ("roll_back", "anna", "complaints")
    assert last["weights_before"] == {"champion": 0.9, "challenger": 0.1}
    assert answered(shift, sk) == ("executed", "rolled back, ordered by anna: complaints")
    assert (shift.meta["status"], shift.meta["outcome"]) == ("closed", "rolled_back")
    assert shift.approval(CHALLENGER) == "Rejected"


def test_a_promotion_by_an_operator_bakes_and_a_rollback_reverts_it(shift: Any) -> None:
    shift.tick(command=shift.command("promote"))
    assert (shift.router["state"], shift.router["champion"], shift.lists) == ("baking", "B", CHALLENGER)
    refused = shift.command("promote")
    shift.tick(command=refused)
    assert answered(shift, refused) == ("refused", f"{CHALLENGER} is promoted already: its bake time is not over yet")
    frozen = shift.command("freeze")
    shift.tick(command=frozen)
    assert answered(shift, frozen)[0] == "refused"
    shift.tick(command=shift.command("roll_back"))
    router = shift.router
    assert (router["state"], router["champion"], router["weights"]) == ("idle", "A", ALONE)
    assert (shift.meta["outcome"], shift.lists, shift.approval(CHALLENGER)) == ("rolled_back", CHAMPION, "Rejected")


def test_frozen_weights_stay_over_epochs_until_they_are_thawed(shift: Any) -> None:
    early = shift.command("thaw")
    shift.tick(command=early)
    assert answered(shift, early) == ("refused", "the experiment is testing, not frozen: there is nothing to thaw")
    shift.tick(command=shift.command("freeze", "ben", "a sale is on"))
    assert (shift.router["state"], shift.share) == ("frozen", 0.1)
    for _ in range(2):
        shift.epoch()
        assert (shift.router["state"], shift.share, shift.last["decision"]) == ("frozen", 0.1, "freeze")
    assert "ben: a sale is on" in shift.last["reason"]
    shift.tick(command=shift.command("thaw"))
    assert shift.router["state"] == "testing"
    assert "hold" not in shift.state
    shift.epoch()
    assert shift.router["state"] == "testing"


def test_a_command_is_executed_by_any_tick_and_an_unknown_one_is_refused(shift: Any) -> None:
    unknown, waiting = shift.command("dance"), shift.command("freeze")
    shift.tick()
    assert answered(shift, unknown) == (
        "refused",
        "'dance' is not a command: use one of roll_back, promote, freeze, thaw",
    )
    assert answered(shift, waiting)[0] == "executed"


def test_without_an_experiment_a_rollback_swaps_the_variants_and_is_refused_when_they_are_equal(shift: Any) -> None:
    shift.tick(command=shift.command("roll_back"))
    shift.tick(command=shift.command("roll_back", "anna", "it was better"))
    router = shift.router
    assert (router["state"], router["champion"], router["weights"]) == ("idle", "B", {"A": 0.0, "B": 1.0})
    assert (shift.last["by"], shift.approval(CHALLENGER), shift.lists) == ("anna", "Approved", CHALLENGER)
    other = shift.command("freeze")
    shift.tick(command=other)
    assert answered(shift, other) == ("refused", "no experiment is open")
    shift.set(("ROUTER", "ROUTER"), models={"A": CHALLENGER, "B": CHALLENGER})
    same = shift.command("roll_back")
    shift.tick(command=same)
    assert answered(shift, same) == (
        "refused",
        f"both variants hold {CHALLENGER}: there is no other model to roll back to",
    )


@pytest.mark.parametrize("state", ["testing", "frozen", "baking"])
def test_an_alarm_of_the_challengers_variant_rolls_it_back(shift: Any, state: str) -> None:
    if state != "testing":
        shift.tick(command=shift.command("freeze" if state == "frozen" else "promote"))
    assert shift.router["state"] == state
    shift.tick(alarm="usher-variant-B-errors")
    assert (shift.router["state"], shift.router["weights"]) == ("idle", ALONE)
    assert (shift.last["decision"], shift.last["reason"]) == ("roll_back", "the alarm usher-variant-B-errors fired")


def test_an_alarm_of_the_champions_variant_freezes_and_one_of_no_variant_does_nothing(shift: Any) -> None:
    shift.tick(alarm="usher-join-rate")
    assert (shift.router["state"], shift.items("DECISION")) == ("testing", [])
    shift.tick(alarm="usher-variant-A-errors")
    assert (shift.router["state"], shift.share) == ("frozen", 0.1)
    assert "both variants may share the cause" in shift.last["reason"]
    shift.tick(alarm="usher-variant-A-errors")
    assert len(shift.items("DECISION")) == 1
    shift.epoch()
    assert shift.router["state"] == "testing"


def test_a_tick_for_an_alarm_waits_for_another_one_and_a_scheduled_tick_does_not(shift: Any) -> None:
    lease = {"holder": "another", "expires_at": int(shift.now) + 300}
    shift.run.table.update_item(
        Key={"pk": "EXPERIMENT#xrbbbbbbbbbb-1", "sk": "STATE"},
        UpdateExpression="SET lease = :lease",
        ExpressionAttributeValues={":lease": lease},
    )
    found = shift.tick()
    assert "another tick of experiment xrbbbbbbbbbb-1 is in progress" in found["output"]["reason"]
    assert shift.state["lease"]["holder"] == "another"
    arn = shift.begin(alarm="usher-variant-B-latency")
    shift.run.until(lambda: any("TickUnderWay" in str(event) for event in shift.run.history(arn)))
    shift.passes(301)  # the other one has died: its lease ends
    assert shift.run.finished(arn)["status"] == "SUCCEEDED"
    assert shift.router["weights"] == ALONE
