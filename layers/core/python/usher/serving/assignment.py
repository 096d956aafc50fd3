"""Whose request it is: the variant that a person is given, and which may stand in for it."""

from __future__ import annotations

from dataclasses import dataclass

from usher.experiments.stats.assignment import Enrolment, Split, check_weights, place
from usher.store.enrolment import Exposure
from usher.store.experiments import Meta
from usher.store.router import VARIANTS, Router, Variant


class BadRouter(Exception):
    """The router's record cannot be what Usher wrote."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant whose request this is, whoever answers it in the end.

    experiment: whose weights gave the variant, or empty: then it is the champion's. enrols: this would be the person's
    first exposure.
    """

    variant: Variant
    experiment: str = ""
    enrols: bool = False


def assign(
    router: Router, experiment: Meta | None, user_hash: str, exposure: Exposure | None, now: float
) -> Assignment:
    """The champion's variant; in an experiment the one of the person's exposure or hash, never one at weight 0.

    experiment: None while none is open, or it cannot be read. Who names nobody (an empty hash) is in no experiment.
    exposure:   the person's in this experiment. now: epoch seconds.
    """
    if experiment is None or not user_hash:
        return Assignment(router.champion)
    split = Split(experiment.salt, experiment.by_role(router.weights), experiment.attribution_seconds)
    enrolled = Enrolment(experiment.role(exposure.variant), exposure.enrolled_at) if exposure else None
    placed = place(split, user_hash, enrolled, now)
    enrols = placed.enrols and router.state == "testing"
    return Assignment(experiment.variant(placed.role), experiment.experiment_id, enrols)


def in_order(router: Router, first: Variant) -> tuple[Variant, ...]:
    """`first`, then the other variant where it may serve: it has traffic, or it holds the very same model.

    A variant at weight 0 may hold what was just rolled back: popularity is better than that.
    """
    other = VARIANTS[1] if first == VARIANTS[0] else VARIANTS[0]
    same = router.models[other] == router.models[first]
    return (first, other) if router.weights[other] > 0 or same else (first,)


def check_router(router: Router) -> Router:
    """The router, if it can be served by; BadRouter or WeightError for one that somebody edited into nonsense."""
    if router.champion not in VARIANTS or not set(VARIANTS) == set(router.weights) == set(router.models):
        raise BadRouter(
            f"router version {router.version} does not say what variants A and B hold, and which is champion"
        )
    check_weights(router.weights)
    return router
