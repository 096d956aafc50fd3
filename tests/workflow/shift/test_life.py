"""An experiment from its opening to its end, by the evidence alone."""

from __future__ import annotations

from typing import Any

import pytest

MANY = 200


def test_a_challenger_opens_an_experiment_with_the_first_share_and_starts_the_schedule(shift: Any) -> None:
    router, meta = shift.router, shift.meta
    assert (router["state"], router["experiment_id"], router["version"]) == ("testing", "xrbbbbbbbbbb-1", 2)
    assert (router["champion"], router["weights"]) == ("A", {"A": 0.9, "B": 0.1})
    assert meta["models"] == {"champion": "raaaaaaaaaa-1", "challenger": "rbbbbbbbbbb-1"}
    assert (len(meta["salt"]), meta["status"], meta["settle_seconds"]) == (32, "open", 32)
    assert shift.schedule == "ENABLED"
    assert shift.lists == "raaaaaaaaaa-1"


def test_a_tick_in_which_nothing_happens_takes_three_states_and_writes_no_decision(shift: Any) -> None:
    shift.passes(60)
    found = shift.tick()
    assert (found["status"], found["states"]) == ("SUCCEEDED", ["Tick", "ChooseNext", "Done"])
    assert shift.items("DECISION") == []
    assert shift.router["version"] == 2
    assert "lease" not in shift.state


def test_the_share_grows_by_stages_as_users_are_counted(shift: Any) -> None:
    shares = [shift.share]
    for _ in range(7):
        shift.enrol_by_weights(users=200, rates=(0.10, 0.10))
        shift.epoch()
        shares.append(shift.share)
    assert shares[0] == 0.10
    assert shares == sorted(shares)
    assert shares[-1] == 0.5
    assert shift.router["version"] == 9
    assert [item["version"] for item in shift.items("STRATUM")] == list(range(2, 7))
    assert shift.items("STRATUM")[0]["challenger"] == {"n": 20, "c": 2, "sum_y": 2, "sum_y2": 2}
    assert [item["weights"]["challenger"] for item in shift.items("EPOCH")] == shares[:-1]


def test_a_better_challenger_is_promoted_bakes_and_stays(shift: Any) -> None:
    shift.outcomes(enrolled=1000, joined=980)
    found = shift.until("promote", users=MANY, rates=(0.15, 0.40))
    assert found["states"] == ["Tick", "ChooseNext", "CompleteSideEffects", "Done"]
    router = shift.router
    assert (router["state"], router["champion"], router["weights"]) == ("baking", "B", {"A": 0.0, "B": 1.0})
    assert (shift.meta["status"], shift.meta["outcome"]) == ("baking", "promoted")
    assert (shift.approval("rbbbbbbbbbb-1"), shift.lists) == ("Approved", "rbbbbbbbbbb-1")
    assert "side_effects" not in shift.state
    assert shift.state["summary"]["join_rate"] == 0.98
    shift.passes(86400)
    assert shift.tick()["states"] == ["Tick", "ChooseNext", "CheckNextRun", "CompleteSideEffects", "Done"]
    router = shift.router
    assert (router["state"], router["experiment_id"], router["champion"]) == ("idle", "", "B")
    assert (shift.meta["status"], shift.meta["outcome"]) == ("closed", "promoted")
    assert shift.schedule == "ENABLED"
    assert shift.tick()["states"] == ["Tick", "ChooseNext", "Done"]
    assert shift.schedule == "DISABLED"


def test_a_worse_challenger_is_retired(shift: Any) -> None:
    found = shift.until("retire", users=MANY, rates=(0.30, 0.08))
    assert found["states"] == ["Tick", "ChooseNext", "CheckNextRun", "CompleteSideEffects", "Done"]
    router = shift.router
    assert (router["state"], router["experiment_id"], router["weights"]) == ("idle", "", {"A": 1.0, "B": 0.0})
    assert (shift.meta["status"], shift.meta["outcome"]) == ("closed", "retired")
    assert shift.approval("rbbbbbbbbbb-1") == "Rejected"
    assert shift.last["weights_after"] == {"champion": 1.0, "challenger": 0.0}


@pytest.mark.parametrize(("version", "words"), [(2, "experiment xrbbbbbbbbbb-1 is open")])
def test_a_third_candidate_is_refused_while_the_experiment_is_open(shift: Any, version: int, words: str) -> None:
    before = shift.router
    answer = shift.deploy("rcccccccccc-1", version)
    assert answer["errorType"] == "RouterMoved"
    assert words in answer["errorMessage"]
    assert shift.router == before


def test_prepare_next_starts_no_run_while_it_is_open(shift: Any) -> None:
    shift.run.head(rows=5000, arrived=int(shift.now) - 900)
    assert "experiment xrbbbbbbbbbb-1 is open" in shift.run.ask()["reason"]


def test_a_run_that_is_started_by_hand_meanwhile_ends_before_its_first_job(shift: Any) -> None:
    found = shift.run.finished(shift.run.begin("rdddddddddd-1"))
    assert (found["status"], found["states"][:2]) == ("FAILED", ["PrepareRun", "RecordFailure"])
    assert "experiment xrbbbbbbbbbb-1 is open" in shift.run.record("rdddddddddd-1")["cause"]
    assert shift.run.lock is None
    assert shift.router["version"] == 2


def test_a_candidate_that_comes_to_deploy_meanwhile_is_refused_and_its_run_says_why(shift: Any) -> None:
    shift.run.bundle("reeeeeeeeee-1")
    before = shift.router
    found = shift.run.go_from("DeployExperiment", run={"router_version": 2, "run_id": "reeeeeeeeee-1"})
    assert (found["status"], found["error"]) == ("FAILED", "RouterMoved")
    assert "experiment xrbbbbbbbbbb-1 is open" in shift.run.record()["cause"]  # the execution's name is its run's
    assert shift.router == before
