"""What each decision makes of the router: the next version, the experiment's status, and the side effects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from usher.store.experiment_state import Transition
from usher.store.experiments import OUTCOMES, Meta
from usher.store.router import Router, serving_variant


def next_router(router: Router, meta: Meta, share: float, now: int, *, frozen: bool = False) -> Router:
    """The next version: `share` for the challenger; frozen enrols no new users."""
    return replace(
        router,
        version=int(router.version) + 1,
        opened_at=now,
        state="frozen" if frozen else "testing",
        experiment_id=meta.experiment_id,
        champion=meta.champion,
        weights=meta.by_variant(share),
    )


def go_on(router: Router, meta: Meta, share: float, reason: str, now: int) -> Transition:
    """Close the epoch: the stratum ends, and the next begins with `share`."""
    return Transition("continue", reason, next_router(router, meta, share, now))


def freeze(router: Router, meta: Meta, share: float, reason: str, now: int) -> Transition:
    """Enrol no new users and decide nothing, until the close of an epoch or an operator resumes the experiment."""
    return Transition("freeze", reason, next_router(router, meta, share, now, frozen=True))


def promote(router: Router, meta: Meta, reason: str, now: int) -> Transition:
    """Make the challenger the champion; the former one stays in its variant until the bake time is over."""
    baking = replace(next_router(router, meta, 1.0, now), state="baking", champion=meta.challenger)
    winner = meta.models["challenger"]
    side_effects = {"popular_lists": winner, "approve": winner}
    return Transition("promote", reason, baking, "baking", OUTCOMES["promote"], side_effects=side_effects)


def complete_bake(router: Router, meta: Meta, reason: str, now: int) -> Transition:
    """Close the experiment after its bake time; the next run may start."""
    winner = meta.models["challenger"]
    side_effects = {"popular_lists": winner, "approve": winner, "check_next_run": True}
    closed = router.without_experiment(meta.challenger, now)
    return Transition("promote", reason, closed, "closed", OUTCOMES["promote"], side_effects=side_effects)


def end(router: Router, meta: Meta, decision: str, reason: str, now: int) -> Transition:
    """Close it as roll_back, retire, futile or inconclusive: the original champion has all the traffic at once."""
    side_effects: dict[str, Any] = {"popular_lists": meta.models["champion"], "check_next_run": True}
    if decision in ("roll_back", "retire"):
        side_effects["reject"] = meta.models["challenger"]
    closed = router.without_experiment(meta.champion, now)
    return Transition(decision, reason, closed, "closed", OUTCOMES[decision], side_effects=side_effects)


def swap(router: Router, reason: str, now: int) -> Transition:
    """Without an open experiment: make the other variant's model the champion."""
    side_effects = {
        "popular_lists": router.models[router.idle_variant],
        "approve": router.models[router.idle_variant],
        "reject": router.models[router.champion],
    }
    closed = router.without_experiment(router.idle_variant, now)
    return Transition("roll_back", reason, closed, "closed", side_effects=side_effects)


def abandon(router: Router, reason: str, now: int) -> Transition:
    """Close an experiment whose record cannot be read: the router's champion has all the traffic."""
    closed = router.without_experiment(serving_variant(router), now)
    side_effects = {"check_next_run": True}
    return Transition("roll_back", reason, closed, "closed", OUTCOMES["roll_back"], side_effects=side_effects)


def close_edited(router: Router, meta: Meta, reason: str, now: int) -> Transition:
    """Close an experiment that the router does not show any more: the router's champion has all the traffic."""
    promoted = router.models.get(router.champion) == meta.models["challenger"]
    decision = "promote" if promoted else "roll_back"
    side_effects = {"popular_lists": router.models[router.champion], "check_next_run": True}
    closed = router.without_experiment(serving_variant(router), now)
    return Transition(decision, reason, closed, "closed", OUTCOMES[decision], side_effects=side_effects)


def unchanged(router: Router, reason: str) -> Transition:
    """Leave the router as it is."""
    return Transition("continue", reason, router)
