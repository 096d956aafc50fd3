"""The operator's way is the product's own workflow without what makes and judges a model, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from demo.operator import shortened
from twin.stepfunctions.definition import faults

DEFINITION = (Path(__file__).parents[3] / "statemachines" / "train_and_deploy.asl.json").read_text()


def states(definition: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(definition)["States"]
    return found


def test_the_plan_goes_straight_on_to_the_registry() -> None:
    machine = json.loads(shortened(DEFINITION))
    first = machine["States"][machine["StartAt"]]
    assert (machine["StartAt"], first["Next"]) == ("PrepareRun", "RegisterModel")
    assert first["Assign"] == {**states(DEFINITION)["PrepareRun"]["Assign"], "trained": []}


def test_what_makes_and_judges_a_model_is_left_out_and_all_else_is_as_it_was() -> None:
    whole, short = states(DEFINITION), states(shortened(DEFINITION))
    assert whole.keys() - short.keys() == {"Prepare", "TrainAll", "Evaluate", "EvaluateGate", "IsPassed"}
    assert all(short[name] == whole[name] for name in short.keys() - {"PrepareRun"})


def test_the_shortened_machine_is_one_that_step_functions_takes() -> None:
    assert not faults(shortened(DEFINITION))
