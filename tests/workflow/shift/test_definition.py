"""The shift workflow's definition, without running it: requests that AWS takes, limits, a way on from failures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from twin.stepfunctions import definition

TEXT = (Path(__file__).parents[3] / "statemachines/shift_traffic.asl.json").read_text()
MACHINE = json.loads(TEXT)
TASKS = {name: state for name, state in MACHINE["States"].items() if state["Type"] == "Task"}
#: What a tick must not stop at: what is left undone there, the next one finds.
CAUGHT = {"UpdateEndpointWeights", "RecordEndpointProblem"}


def operation(resource: str) -> Any:
    *_, service, action = resource.removeprefix("arn:aws:states:::").split(":")
    model = botocore.session.get_session().get_service_model(service)
    return model.operation_model(action[:1].upper() + action[1:])


@pytest.mark.parametrize("name", TASKS)
def test_every_tasks_parameters_are_those_of_the_service(name: str) -> None:
    shape = operation(TASKS[name]["Resource"]).input_shape
    given = set(TASKS[name]["Arguments"])
    assert given <= set(shape.members)
    assert set(shape.required_members) <= given


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_limit_and_a_bounded_retry(name: str) -> None:
    assert TASKS[name]["TimeoutSeconds"] <= 320
    for retry in TASKS[name]["Retry"]:
        assert retry["MaxAttempts"] <= 12
        assert retry["JitterStrategy"] == "FULL"


def test_a_refused_weight_update_stops_neither_the_record_nor_the_next_run() -> None:
    assert {name for name, state in TASKS.items() if "Catch" in state} == CAUGHT
    assert all(state["Catch"][0]["ErrorEquals"] == ["States.ALL"] for name, state in TASKS.items() if name in CAUGHT)


def test_the_twin_accepts_the_definition() -> None:
    assert definition.faults(re.sub(r"\$\{(\w+)\}", "x", TEXT)) == []


def test_an_unchanged_tick_takes_three_states_and_every_state_can_be_reached() -> None:
    states = MACHINE["States"]
    assert (states["Tick"]["Next"], states["ChooseNext"]["Default"], states["Done"]["Type"]) == (
        *("ChooseNext", "Done"),
        "Succeed",
    )
    named = {MACHINE["StartAt"]} | {
        place["Next"]
        for state in states.values()
        for place in (state, *state.get("Choices", ()), *state.get("Catch", ()))
        if "Next" in place
    }
    assert named == set(states)
