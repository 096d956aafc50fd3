"""Bounded rewards as evidence: given the rewards, the assignment to the roles is a coin of known weight.

With rewards y in [0, 1], the stratum's pooled mean m and the designed weight w of the challenger,

    U = Σ over the challenger's users of (y − m),   V = w(1−w)·Σ over all of (y − m)²
    e(λ) = exp{ λU − V·(e^λ − 1 − λ) }

has mean at most one when the role does not matter, for any drift or dependence of the rewards (Bennett 1962). A stratum
needs n, Σy and Σy² per role, no more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from usher.experiments.stats.numerics import Floats, log_mean_exp

#: The mixture over λ: small values find small effects in many users, large ones large effects early.
LAMBDA: Floats = np.array([0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.32, 0.48, 0.64, 0.9])


class RewardEvidence(NamedTuple):
    """What a stratum adds: logs of e(λ), (R, 12), for the challenger above and below; score, information (R,)."""

    above: Floats
    below: Floats
    score: Floats
    information: Floats


def reward_evidence(exposed: Floats, reward_sum: Floats, reward_squares: Floats, weight: Floats) -> RewardEvidence:
    """Evidence of one stratum per experiment.

    exposed, reward_sum, reward_squares: (R, 2) by role, n and Σy and Σy² with every y in [0, 1].
    weight: the challenger's designed share, (R,), as the router had it, not as it came out.
    """
    users = exposed.sum(axis=1)
    mean = reward_sum.sum(axis=1) / np.maximum(users, 1.0)
    score = reward_sum[:, 1] - exposed[:, 1] * mean
    spread = np.maximum(reward_squares.sum(axis=1) - users * mean**2, 0.0)
    information = weight * (1.0 - weight) * spread
    cost = information[:, None] * (np.expm1(LAMBDA) - LAMBDA)
    gain = score[:, None] * LAMBDA
    return RewardEvidence(gain - cost, -gain - cost, score, information)


def log_e(summed: Floats) -> Floats:
    """log e-value (R,) of the mixture over λ; summed: logs of e(λ) over all strata, (R, 12)."""
    return log_mean_exp(summed)
