"""A tick without an open experiment: what the last one left undone, and orders that came after its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from usher.experiments import operator_commands, transitions
from usher.experiments.stats.errors import StateError
from usher.experiments.transitions import Step
from usher.store.experiment_state import Book, Change, Kept
from usher.store.experiments import OUTCOMES, Meta, alone_variant, ids_in_variants, newest_id, read_meta, router_fault
from usher.store.router import Router, put_after

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

Holds = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Found:
    """What a steady tick has found. experiment_id: whose side_effects are to be done, or empty."""

    router: Router
    decision: str = "continue"
    reason: str = "no experiment is open"
    experiment_id: str = ""
    side_effects: Mapping[str, Any] = field(default_factory=dict)


def abandoned(router: Router, reason: str, now: int) -> Step:
    """An experiment whose record nobody can read: closed, with the champion that the router names."""
    variant = alone_variant(router)
    return Step(
        "roll_back",
        reason,
        router.alone(variant, now),
        "closed",
        OUTCOMES["roll_back"],
        side_effects={"check_next_run": True},
    )


def look(table: Table, router: Router, holds: Holds, now: float) -> Found:
    """Obey one order that waits; else close what the router has left open; else name the side_effects that are left.

    holds: variant, run id → why the variant does not hold that run's model, or empty.
    """
    experiment_id = newest_id(table, router, now)
    if experiment_id is not None:
        for order in operator_commands.waiting(table, experiment_id):
            found = _obey(table, router, holds, order, now)
            if found is not None:
                return found
    fault = router_fault(router, now)
    for one in ids_in_variants(router):
        found = _left(table, router, one, now)
        if found is not None and (fault is None or found.router is not router):
            return found
    return Found(router) if fault is None else _healed(table, router, fault, now)


def _healed(table: Table, router: Router, fault: str, now: float) -> Found:
    """An idle router that nobody can be served by as it stands: its champion has all the traffic."""
    healed = router.alone(alone_variant(router), int(now))
    table.meta.client.transact_write_items(TransactItems=[put_after(table, healed, router.version)])  # type: ignore[list-item]
    return Found(healed, reason=f"the router was edited by hand ({fault}): {healed.champion} has all the traffic")


def _left(table: Table, router: Router, experiment_id: str, now: float) -> Found | None:
    kept = Kept.read(table, experiment_id)
    if kept.side_effects:
        return Found(router, reason=_reason(kept), experiment_id=experiment_id, side_effects=kept.side_effects)
    try:
        meta = read_meta(table, experiment_id, now)
    except StateError:
        return None
    if meta is None or meta.status == "closed":
        return None
    return _close(table, router, meta, kept, now)


def _reason(kept: Kept) -> str:
    return str(kept.summary.get("reason", "a decision is carried out"))


def _close(table: Table, router: Router, meta: Meta, kept: Kept, now: float) -> Found:
    """The router shows no experiment, its record does: somebody edited the router. Its champion has all the traffic."""
    words = "the router shows no experiment any more: it was edited by hand, and the experiment is over"
    promoted = router.models.get(router.champion) == meta.models["challenger"]
    decision = "promote" if promoted else "roll_back"
    side_effects = {"popular_lists": router.models[router.champion], "check_next_run": True}
    step = Step(
        decision,
        words,
        router.alone(alone_variant(router), int(now)),
        "closed",
        OUTCOMES[decision],
        side_effects=side_effects,
    )
    change = Change(router, step, {"side_effects": side_effects}, void=words)
    Book(table, meta.experiment_id, meta).write(kept, change, now)
    return Found(step.router, decision, words, meta.experiment_id, side_effects)


def _obey(table: Table, router: Router, holds: Holds, order: operator_commands.Order, now: float) -> Found | None:
    experiment_id = order.experiment_id
    book = Book(table, experiment_id, read_meta(table, experiment_id, now))
    if order.action != "roll_back":
        book.refuse(order.sk, "no experiment is open")
        return None
    if router.models[router.champion] == router.models[router.idle_variant]:
        book.refuse(order.sk, f"both variants hold {router.models[router.champion]}: there is nothing to go back to")
        return None
    if fault := holds(router.idle_variant, router.models[router.idle_variant]):
        book.refuse(order.sk, fault)
        return None
    step = transitions.swap(router, f"rolled back, {order.words}", int(now)).ordered(order.who, order.why)
    kept = Kept.read(table, experiment_id)
    change = Change(
        router, step, {"side_effects": dict(step.side_effects)}, void="no experiment was open", order=order.sk
    )
    book.write(kept, change, now)
    return Found(step.router, step.decision, step.reason, experiment_id, step.side_effects)
