"""A tick without an open experiment: late operator commands, repairs, and side effects that are still pending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from usher.experiments import transitions
from usher.experiments.tick import TickResult
from usher.store.experiment_state import ExperimentState, ExperimentStore, StateChange, Transition
from usher.store.experiments import InvalidExperiment, newest_id, read_meta
from usher.store.operator_commands import OperatorCommand, waiting_commands
from usher.store.router import Router, experiment_ids, replace_router, router_fault, serving_variant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: (variant, run id) → why the endpoint's variant does not hold that run's model, or empty.
ModelMismatch = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class IdleTick:
    """The router after the tick, and the result; its experiment_id is empty when nothing is left to do."""

    router: Router
    result: TickResult


def idle_tick(table: Table, router: Router, model_mismatch: ModelMismatch, now: float) -> IdleTick:
    """Execute one waiting command; else close what the router has left open; else name the pending side effects."""
    experiment_id = newest_id(table, router, now)
    if experiment_id is not None:
        for command in waiting_commands(table, experiment_id):
            executed = _execute(table, router, model_mismatch, command, now)
            if executed is not None:
                return executed
    fault = router_fault(router, now)
    for candidate in experiment_ids(router):
        pending = _pending(table, router, candidate, now)
        if pending is not None and (fault is None or pending.router is not router):
            return pending
    if fault is not None:
        return _repair(table, router, fault, now)
    return IdleTick(router, TickResult("continue", "no experiment is open"))


def _repair(table: Table, router: Router, fault: str, now: float) -> IdleTick:
    """For a router by which no request can be routed: its champion has all the traffic."""
    repaired = router.without_experiment(serving_variant(router), int(now))
    replace_router(table, repaired, router.version)
    reason = f"the router was edited by hand ({fault}): {repaired.champion} has all the traffic"
    return IdleTick(repaired, TickResult("continue", reason))


def _pending(table: Table, router: Router, experiment_id: str, now: float) -> IdleTick | None:
    """What an experiment has left to do: its side effects, or its closing when the router does not show it any more."""
    state = ExperimentState.read(table, experiment_id)
    if state.side_effects:
        reason = str(state.summary.get("reason", "a decision's side effects are carried out"))
        return IdleTick(router, TickResult("continue", reason, experiment_id, side_effects=state.side_effects))
    try:
        meta = read_meta(table, experiment_id, now)
    except InvalidExperiment:
        return None
    if meta is None or meta.status == "closed":
        return None
    reason = "the router was edited by hand and does not show the experiment any more: the experiment is closed"
    made = transitions.close_edited(router, meta, reason, int(now))
    change = StateChange(router, made, {"side_effects": dict(made.side_effects)}, void=reason)
    ExperimentStore(table, experiment_id, meta).write(state, change, now)
    return _done(experiment_id, made)


def _execute(
    table: Table, router: Router, model_mismatch: ModelMismatch, command: OperatorCommand, now: float
) -> IdleTick | None:
    """Roll back to the other variant's model; None when the command is refused."""
    experiment_id = command.experiment_id
    store = ExperimentStore(table, experiment_id, read_meta(table, experiment_id, now))
    model = router.models[router.idle_variant]
    refusal = ""
    if command.action != "roll_back":
        refusal = "no experiment is open"
    elif router.models[router.champion] == model:
        refusal = f"both variants hold {model}: there is no other model to roll back to"
    else:
        refusal = model_mismatch(router.idle_variant, model)
    if refusal:
        store.refuse_command(command.sk, refusal)
        return None
    made = transitions.swap(router, f"rolled back, {command.origin}", int(now))
    made = replace(made, by=command.operator, why=command.why)
    fields = {"side_effects": dict(made.side_effects)}
    change = StateChange(router, made, fields, void="no experiment was open", command=command.sk)
    store.write(ExperimentState.read(table, experiment_id), change, now)
    return _done(experiment_id, made)


def _done(experiment_id: str, made: Transition) -> IdleTick:
    result = TickResult(made.decision, made.reason, experiment_id, side_effects=made.side_effects)
    return IdleTick(made.router, result)
