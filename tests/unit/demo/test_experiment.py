"""What the demo prints of an experiment: each change once, invalid router weights as an error, every outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cli.errors import CommandError
from cli.experiments.records import Experiment
from demo.experiment import ObservedExperiment, describe_outcome, observe
from usher.store.router import Router


def router(version: int, weights: Mapping[str, float]) -> Router:
    return Router(version, 100, "testing", "xr2-1", "A", weights, {"A": "r1-1", "B": "r2-1"})


def decided(second: int, decision: str, share: float, before: float, **numbers: float) -> dict[str, Any]:
    return {
        "sk": f"DECISION#2026-01-01T00:00:{second:02d}.000000+00:00",
        "decision": decision,
        "reason": f"because of {decision}",
        "weights_before": {"champion": 1 - before, "challenger": before},
        "weights_after": {"champion": 1 - share, "challenger": share},
        "numbers": numbers,
        "at": 1000.0 + second,
    }


def experiment(*decisions: dict[str, Any], **meta: Any) -> Experiment:
    known = {"champion": "A", "challenger": "B", "started_at": 1000, "hour_seconds": 25, "status": "open"}
    return Experiment("xr2-1", {**known, **meta}, decisions=decisions)


def test_only_decisions_that_change_something_are_printed_and_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    observed = ObservedExperiment("xr2-1")
    stays, moves = decided(3, "continue", 0.1, 0.1), decided(6, "continue", 0.25, 0.1, users_champion=90,
                                                             users_challenger=10)  # fmt: skip
    observe(observed, experiment(stays), router(2, {"A": 0.9, "B": 0.1}))
    observe(observed, experiment(stays, moves), router(3, {"A": 0.75, "B": 0.25}))
    observe(observed, experiment(stays, moves), router(3, {"A": 0.75, "B": 0.25}))
    (line,) = capsys.readouterr().out.splitlines()
    assert "6.0 s" in line and "25%" in line and "90 + 10 users" in line and "because of continue" in line
    assert observed.shares == {2: 0.1, 3: 0.25}


@pytest.mark.parametrize("weights", [{"A": 0.9, "B": 0.2}, {"A": 1.1, "B": -0.1}], ids=["above one", "negative"])
def test_router_weights_that_are_not_shares_stop_the_demo(weights: dict[str, float]) -> None:
    with pytest.raises(CommandError, match="router version 4 has weights"):
        observe(ObservedExperiment("xr2-1"), experiment(), router(4, weights))


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("promoted", "the challenger is the new champion"),
        ("rolled_back", "the champion serves all traffic again"),
        ("retired", "the champion serves all traffic again"),
        ("futile", "would not be detected"),
        ("inconclusive", "may end inconclusive"),
    ],
)
def test_every_outcome_is_described_with_its_reason(outcome: str, words: str) -> None:
    observed = ObservedExperiment("xr2-1", last=experiment(status="closed", outcome=outcome, reason="for a reason"))
    assert words in describe_outcome(observed)
    assert describe_outcome(observed).endswith("Reason: for a reason")


def test_users_are_those_that_the_newest_decision_counted() -> None:
    decision = decided(9, "promote", 0.5, 0.5, lift=0.1, users_champion=300.0, users_challenger=120.0)
    observed = ObservedExperiment("xr2-1", last=experiment(decision))
    assert observed.users == 420
    assert ObservedExperiment("xr2-1", last=experiment()).users == 0
