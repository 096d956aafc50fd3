"""How the demo tells an experiment: what moves is a line, a router that adds up wrongly stops it, an end has words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cli.errors import CommandError
from cli.experiments.records import Experiment
from demo.costs import Use, lines
from demo.course import Course, ending, look
from demo.simulated_users.caller import Answer
from demo.simulated_users.tally import Tally
from demo.summary import Log, show
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


def test_only_decisions_that_change_something_are_told_and_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    course = Course("xr2-1")
    stays, moves = decided(3, "continue", 0.1, 0.1), decided(6, "continue", 0.25, 0.1, users_champion=90,
                                                             users_challenger=10)  # fmt: skip
    look(course, experiment(stays), router(2, {"A": 0.9, "B": 0.1}))
    look(course, experiment(stays, moves), router(3, {"A": 0.75, "B": 0.25}))
    look(course, experiment(stays, moves), router(3, {"A": 0.75, "B": 0.25}))
    (line,) = capsys.readouterr().out.splitlines()
    assert "6.0 s" in line and "25%" in line and "90 + 10 counted" in line and "because of continue" in line
    assert course.versions == {2: 0.1, 3: 0.25}


@pytest.mark.parametrize("weights", [{"A": 0.9, "B": 0.2}, {"A": 1.1, "B": -0.1}], ids=["above one", "negative"])
def test_a_router_whose_weights_are_no_shares_stops_the_demo(weights: dict[str, float]) -> None:
    with pytest.raises(CommandError, match="router version 4 has weights"):
        look(Course("xr2-1"), experiment(), router(4, weights))


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("promoted", "the new model is the champion"),
        ("rolled_back", "the champion has all the traffic again"),
        ("retired", "the champion has all the traffic again"),
        ("futile", "would not be found"),
        ("inconclusive", "which is a legal end"),
    ],
)
def test_every_end_has_words_and_its_reason(outcome: str, words: str) -> None:
    course = Course("xr2-1", last=experiment(status="closed", outcome=outcome, reason="for a reason"))
    assert words in ending(course)
    assert ending(course).endswith("Reason: for a reason")


def test_people_counted_are_those_of_the_newest_look() -> None:
    course = Course("xr2-1", last=experiment(decided(9, "promote", 0.5, 0.5, lift=0.1, users_champion=300.0,
                                                     users_challenger=120.0)))  # fmt: skip
    assert course.people == 420
    assert Course("xr2-1", last=experiment()).people == 0


def test_the_bill_grows_with_what_was_used_and_names_the_endpoint() -> None:
    tally = Tally()
    for status in (200, 200, 503):
        tally.called("recommend", Answer(status, {}, 0.01))
    little, much = Use(), Use(runs_usd=0.2, runs=2, streamed_rows=80_000, ticks=70)
    much.add(tally)
    much.add_experiment(500, 70)
    costs = {line.what: line.usd for line in lines(much)}
    assert much.requests == 3
    assert sum(costs.values()) > sum(line.usd for line in lines(little)) > 0  # the endpoint alone
    assert costs["training and judging (the plans' estimate)"] == 0.2
    assert any("endpoint" in name for name in costs)


def test_a_part_that_fails_is_in_the_summary_too(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    with pytest.raises(CommandError), log.stage("first run"):
        raise CommandError("no run started")
    show(log)
    output = capsys.readouterr().out
    assert "first run" in output and "What it would have cost on AWS" in output and "together" in output
