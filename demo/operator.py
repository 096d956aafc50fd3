"""Deploys an artefact as an operator could who may start workflows: the product's own states, from the plan on.

The machine is a copy of train_and_deploy in which PrepareRun goes straight on to RegisterModel: plan and lock are the
product's, prepare, train, evaluate and gate are left out. The product itself has no such way.
"""

from __future__ import annotations

import json
import time
from typing import Any

from cli.errors import CommandError
from cli.runs import executions
from cli.target import Target

_POLL_SECONDS = 0.5


def deploy(target: Target, run_id: str, snapshots: dict[str, str], wait_seconds: float) -> None:
    """Run the copy to its end, and delete it; CommandError, with the cause, when the model does not get there."""
    states = target.client("stepfunctions")
    own = states.describe_state_machine(stateMachineArn=executions.workflow_arn(target))
    made = states.create_state_machine(
        name=f"{target.stack_name}-operators-way", definition=shortened(own["definition"]), roleArn=own["roleArn"]
    )["stateMachineArn"]
    given = json.dumps({"run_id": run_id, "snapshots": snapshots, "rows": 0})
    try:
        arn = states.start_execution(stateMachineArn=made, name=run_id, input=given)["executionArn"]
        ended = _wait(states, arn, wait_seconds)
        if ended["status"] != "SUCCEEDED":
            raise CommandError(f"{run_id} was not deployed: {ended.get('error', '')}: {ended.get('cause', '')}")
    finally:
        states.delete_state_machine(stateMachineArn=made)


def shortened(definition: str) -> str:
    """The definition without what makes and judges a model."""
    machine: dict[str, Any] = json.loads(definition)
    first = machine["States"][machine["StartAt"]]
    first["Next"] = "RegisterModel"
    first["Assign"] = {**first["Assign"], "trained": []}
    reached = _reached(machine["States"], machine["StartAt"])
    machine["States"] = {name: state for name, state in machine["States"].items() if name in reached}
    return json.dumps(machine)


def _reached(states: dict[str, Any], start: str) -> set[str]:
    """AWS refuses states that nothing leads to."""
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            state = states[name]
            waiting += [
                one["Next"] for one in (state, *state.get("Choices", ()), *state.get("Catch", ())) if "Next" in one
            ]
            waiting += [state["Default"]] if "Default" in state else []
    return found


def _wait(states: Any, arn: str, wait_seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + wait_seconds
    while True:
        found: dict[str, Any] = states.describe_execution(executionArn=arn)
        if found["status"] != "RUNNING":
            return found
        if time.monotonic() > deadline:
            raise CommandError(f"the deployment has not ended in {wait_seconds:.0f} s")
        time.sleep(_POLL_SECONDS)
