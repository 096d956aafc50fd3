"""The variant assignment of a request: the champion's, or by exposure and hash while an experiment is open."""

from __future__ import annotations

from dataclasses import dataclass

from usher.serving.traffic_split import Enrolment, Split, check_weights, place
from usher.store.experiments import Meta
from usher.store.exposures import Exposure
from usher.store.router import VARIANTS, Router, Variant


class BadRouter(Exception):
    """The router's item was edited by hand and is inconsistent."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant that a request is assigned to, whichever variant answers it in the end.

    experiment: the one that assigned the variant, or empty: then it is the champion's. enrols: whether an answer would
    be the user's first exposure.
    """

    variant: Variant
    experiment: str = ""
    enrols: bool = False


def assign(
    router: Router, experiment: Meta | None, user_id_hash: str, exposure: Exposure | None, now: float
) -> Assignment:
    """The champion's variant; in an experiment the variant of the user's exposure or hash, never one at weight 0.

    experiment: None while none is open, or its record cannot be read. A request without a user (an empty hash) takes no
    part. exposure: the user's in this experiment. now: epoch seconds.
    """
    if experiment is None or not user_id_hash:
        return Assignment(router.champion)
    split = Split(experiment.salt, experiment.by_role(router.weights), experiment.attribution_seconds)
    enrolled = Enrolment(experiment.role(exposure.variant), exposure.enrolled_at) if exposure else None
    placed = place(split, user_id_hash, enrolled, now)
    enrols = placed.enrols and router.state == "testing"
    return Assignment(experiment.variant(placed.role), experiment.experiment_id, enrols)


def check_router(router: Router) -> Router:
    """The router, if it is consistent; BadRouter or WeightError when its item was edited by hand and is not."""
    if router.champion not in VARIANTS or not set(VARIANTS) == set(router.weights) == set(router.models):
        raise BadRouter(
            f"router version {router.version} lacks the models or weights of variants A and B, or its champion"
        )
    check_weights(router.weights)
    return router
