"""`usher run` reads a real history: branches of a Map, what failed, what still runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3

from cli import runs
from cli.target import Target
from twin import context


def machine(*, fails: bool) -> dict[str, Any]:
    inner: dict[str, Any] = {
        "StartAt": "Train",
        "States": {
            "Train": {"Type": "Pass", "Next": "Judge"},
            "Judge": {"Type": "Fail", "Error": "Bad"} if fails else {"Type": "Succeed"},
        },
    }
    return {
        "QueryLanguage": "JSONata",
        "StartAt": "First",
        "States": {
            "First": {"Type": "Pass", "Next": "Each"},
            "Each": {
                "Type": "Map",
                "Items": [1, 2],
                "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **inner},
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Record"}],
                "Next": "Last",
            },
            "Record": {"Type": "Pass", "Next": "Last"},
            "Last": {"Type": "Pass", "End": True},
        },
    }


def visited(server: Any, execute: Any, definition: dict[str, Any]) -> list[runs.State]:
    answer = execute(definition)
    session = boto3.Session(context.ACCESS_KEY, context.SECRET_KEY, region_name=server.region)
    target = Target(session, "usher", "the twin", endpoint=server.endpoint)
    now = datetime.now(UTC)
    run = runs.Run(answer["name"], answer["status"], now, None, answer["executionArn"])
    return runs.states(target, run)


def test_a_failed_branch_is_seen_and_what_came_after_is_not(server: Any, execute: Any) -> None:
    states = visited(server, execute, machine(fails=True))
    names = [state.name for state in states]
    assert names[:2] == ["First", "Each"] and names[-2:] == ["Record", "Last"]
    outcomes = {state.name: state.outcome for state in states}
    assert (outcomes["First"], outcomes["Record"], outcomes["Last"]) == ("done", "done", "done")
    assert (outcomes["Each"], outcomes["Judge"], outcomes["Train"]) == ("failed", "failed", "done")


def test_every_state_of_every_branch_has_its_duration(server: Any, execute: Any, client: Callable[[str], Any]) -> None:
    states = visited(server, execute, machine(fails=False))
    assert sorted(state.name for state in states) == sorted(["First", "Each", *["Train", "Judge"] * 2, "Last"])
    assert {state.outcome for state in states} == {"done"}
    each = next(state for state in states if state.name == "Each")
    assert each.seconds is not None and each.seconds >= 0
