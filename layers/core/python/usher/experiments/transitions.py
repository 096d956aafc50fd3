"""What a decision makes of the router: the next version, the experiment's status, and what is left to do around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from usher.store.experiments import OUTCOMES, Meta
from usher.store.router import Router

USHER = "usher"


@dataclass(frozen=True, slots=True)
class Step:
    """One decision, carried out. router: the version that stands afterwards; the one that stood, if nothing moves.

    by, why: who ordered it and with which reason, else Usher. side_effects: registry, lists, the next run.
    status, outcome: META's from now on.
    """

    decision: str
    reason: str
    router: Router
    status: str = "open"
    outcome: str = ""
    by: str = USHER
    why: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    side_effects: Mapping[str, Any] = field(default_factory=dict)

    def ordered(self, by: str, why: str) -> Step:
        return replace(self, by=by, why=why)


def moved(router: Router, meta: Meta, share: float, now: int, *, frozen: bool = False) -> Router:
    """The next version: `share` for the challenger; frozen keeps new users out of the experiment."""
    return replace(
        router,
        version=_next(router),
        opened_at=now,
        state="frozen" if frozen else "testing",
        experiment_id=meta.experiment_id,
        champion=meta.champion,
        weights=meta.by_variant(share),
    )


def goes_on(router: Router, meta: Meta, share: float, reason: str, now: int) -> Step:
    """An epoch's close: the stratum ends, and the next begins with `share`."""
    return Step("continue", reason, moved(router, meta, share, now))


def freeze(router: Router, meta: Meta, share: float, reason: str, now: int) -> Step:
    """Nobody new enrols and nothing is decided, until an epoch's close or an operator lets it go on."""
    return Step("freeze", reason, moved(router, meta, share, now, frozen=True))


def promote(router: Router, meta: Meta, reason: str, now: int) -> Step:
    """The challenger is the champion; the loser stays in its variant, as the way back, until it is baked."""
    next_router = replace(moved(router, meta, 1.0, now), state="baking", champion=meta.challenger)
    winner = meta.models["challenger"]
    side_effects = {"popular_lists": winner, "approve": winner}
    return Step("promote", reason, next_router, "baking", OUTCOMES["promote"], side_effects=side_effects)


def baked(router: Router, meta: Meta, reason: str, now: int) -> Step:
    """The bake is over: the experiment is closed, and the next run may start."""
    winner = meta.models["challenger"]
    side_effects = {"popular_lists": winner, "approve": winner, "check_next_run": True}
    next_router = replace(router.alone(meta.challenger, now), version=_next(router))
    return Step("promote", reason, next_router, "closed", OUTCOMES["promote"], side_effects=side_effects)


def end(router: Router, meta: Meta, decision: str, reason: str, now: int) -> Step:
    """roll_back, retire, futile or inconclusive: the champion as it was has all the traffic, from this write on."""
    side_effects: dict[str, Any] = {"popular_lists": meta.models["champion"], "check_next_run": True}
    if decision in ("roll_back", "retire"):
        side_effects["reject"] = meta.models["challenger"]
    next_router = replace(router.alone(meta.champion, now), version=_next(router))
    return Step(decision, reason, next_router, "closed", OUTCOMES[decision], side_effects=side_effects)


def swap(router: Router, reason: str, now: int) -> Step:
    """No experiment is open, and the other variant's model is the champion from now on."""
    next_router = router.alone(router.idle_variant, now)
    side_effects = {
        "popular_lists": router.models[router.idle_variant],
        "approve": router.models[router.idle_variant],
        "reject": router.models[router.champion],
    }
    return Step("roll_back", reason, next_router, "closed", side_effects=side_effects)


def unchanged(router: Router, reason: str) -> Step:
    return Step("continue", reason, router)


def _next(router: Router) -> int:
    return int(router.version) + 1
