"""Operator commands on an open experiment: roll back, promote, freeze and thaw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from usher.experiments import transitions
from usher.experiments.decisions import Decision, TickContext
from usher.store.operator_commands import OperatorCommand


class CommandRefused(Exception):
    """A command that cannot be executed; the message says why."""


def execute(context: TickContext, command: OperatorCommand) -> Decision:
    """The decision that a command asks for; CommandRefused with the reason."""
    if command.action not in _ACTIONS:
        raise CommandRefused(f"{command.action!r} is not a command: use one of {', '.join(_ACTIONS)}")
    decision = _ACTIONS[command.action](context, command)
    made = replace(decision.transition, by=command.operator, why=command.why)
    return replace(decision, transition=made)


def _roll_back(context: TickContext, command: OperatorCommand) -> Decision:
    reason = f"rolled back, {command.origin}"
    made = transitions.end(context.router, context.meta, "roll_back", reason, context.at)
    return Decision(made, context.evidence.with_share(0.0) if context.evidence else None)


def _promote(context: TickContext, command: OperatorCommand) -> Decision:
    if context.router.state == "baking":
        raise CommandRefused(f"{context.meta.models['challenger']} is promoted already: its bake time is not over yet")
    made = transitions.promote(context.router, context.meta, f"promoted, {command.origin}", context.at)
    return Decision(made, context.evidence.with_share(1.0) if context.evidence else None)


def _freeze(context: TickContext, command: OperatorCommand) -> Decision:
    if context.router.state == "baking":
        raise CommandRefused("a promoted experiment cannot be frozen: `usher rollback` restores the former champion")
    made = transitions.freeze(context.router, context.meta, context.share, f"frozen, {command.origin}", context.at)
    hold = {"operator": command.operator, "why": command.why, "at": context.at}
    return Decision(made, context.evidence, (("hold", hold),))


def _thaw(context: TickContext, command: OperatorCommand) -> Decision:
    if context.router.state != "frozen":
        raise CommandRefused(f"the experiment is {context.router.state}, not frozen: there is nothing to thaw")
    if context.evidence is None:
        raise CommandRefused(f"{context.evidence_problem}; roll the experiment back, or promote its challenger")
    if context.endpoint.problem:
        raise CommandRefused(f"{context.endpoint.problem}; repair the endpoint first")
    made = transitions.go_on(context.router, context.meta, context.share, f"resumed, {command.origin}", context.at)
    return Decision(made, context.evidence.with_sample_ratio_explained(), (("hold", None),))


_ACTIONS: Mapping[str, Callable[[TickContext, OperatorCommand], Decision]] = {
    "roll_back": _roll_back,
    "promote": _promote,
    "freeze": _freeze,
    "thaw": _thaw,
}
