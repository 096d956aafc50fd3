"""The variant assignment of a request: the champion's, or by exposure and hash while an experiment is open.

The hash is a weighted rendezvous hash of the user under the experiment's salt. A weight change moves the least possible
number of users, with any number of roles; no read is needed, and the salt makes an experiment's assignment independent
of the one before. An enrolment holds until its attribution window ends.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from usher.store.experiments import Meta
from usher.store.exposures import Exposure
from usher.store.router import VARIANTS, Router, Variant

_TOLERANCE = 1e-6


class BadRouter(Exception):
    """The router's item was edited by hand and is inconsistent."""


class WeightError(ValueError):
    """Weights that are not probabilities."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A user's first exposure in an experiment: the role it enrolled in, and when (epoch seconds)."""

    role: str
    enrolled_at: float


@dataclass(frozen=True, slots=True)
class Placement:
    """The role that serves, and whether this is the user's first exposure, which has to be stored."""

    role: str
    enrols: bool


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant that a request is assigned to, whichever variant answers it in the end.

    experiment: the one that assigned the variant, or empty: then it is the champion's. enrols: whether an answer would
    be the user's first exposure.
    """

    variant: Variant
    experiment: str = ""
    enrols: bool = False


def check_weights(weights: Mapping[str, float]) -> None:
    """WeightError unless the weights are probabilities that sum to one."""
    for role, weight in weights.items():
        if not (math.isfinite(weight) and 0.0 <= weight <= 1.0):
            raise WeightError(f"the weight of {role} is {weight!r}: it must lie between 0 and 1")
    if not math.isclose(sum(weights.values()), 1.0, abs_tol=_TOLERANCE):
        raise WeightError(f"the weights sum to {sum(weights.values()):g}: they must sum to one")


@dataclass(frozen=True, slots=True)
class Split:
    """How an experiment splits users: its salt, the weights of the roles, and its attribution window."""

    salt: str
    weights: Mapping[str, float]
    attribution_seconds: float


def assigned_role(salt: str, user_id_hash: str, weights: Mapping[str, float]) -> str:
    """The role of the largest weight / −ln(u), u uniform by hash of (salt, role, user): P(role) is its weight.

    WeightError when the weights are not probabilities. A role at weight 0 is never assigned.
    """
    check_weights(weights)
    return max(weights, key=lambda role: weights[role] / -math.log(_uniform(salt, role, user_id_hash)))


def place(split: Split, user_id_hash: str, enrolment: Enrolment | None, now: float) -> Placement:
    """Serve the enrolled role until the attribution window ends, then the assigned one; never a role at weight 0.

    A user who enrolled stays in that stratum under that role, whatever serves later (intention to treat).
    """
    role = assigned_role(split.salt, user_id_hash, split.weights)
    if enrolment is None:
        return Placement(role, enrols=True)
    holds = 0 <= now - enrolment.enrolled_at < split.attribution_seconds
    return Placement(enrolment.role if holds and split.weights.get(enrolment.role, 0.0) > 0 else role, enrols=False)


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


def _uniform(salt: str, role: str, user_id_hash: str) -> float:
    """Strictly between 0 and 1, by 52 bits of a hash whose parts cannot run into each other."""
    digest = hashlib.blake2b(
        user_id_hash.encode(), digest_size=8, key=hashlib.sha256(f"{salt}\0{role}".encode()).digest()
    )
    return ((int.from_bytes(digest.digest(), "big") >> 12) + 0.5) / 2.0**52
