"""The log odds ratios θ (challenger against champion) that evidence is kept for, and the priors over them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from usher.experiments.stats.numerics import Floats

_STEPS = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.12, 0.15, 0.18, 0.22, 0.27, 0.33, 0.4)
_FAR = (0.5, 0.65, 0.85, 1.1)

#: 45 values, symmetric about 0 and denser there: at a base rate of 10 % they span −64 % to +150 %.
THETA: Floats = np.array(sorted({0.0, *_STEPS, *_FAR, *(-step for step in _STEPS + _FAR)}))
ZERO = int(np.argmin(np.abs(THETA)))

#: A prior is ((standard deviation, mass), …): a scale mixture of normals over θ.
PriorSpec = tuple[tuple[float, float], ...]
PROMOTION_PRIOR: PriorSpec = ((0.03, 0.4), (0.10, 0.4), (0.30, 0.2))
#: Wider: harm that matters is large, and it has to be seen early.
HARM_PRIOR: PriorSpec = ((0.05, 0.3), (0.25, 0.7))


def index_of(theta: float) -> int:
    """Position of `theta` in THETA; ValueError when it is no point of the grid."""
    index = int(np.argmin(np.abs(THETA - theta)))
    if abs(THETA[index] - theta) > 1e-9:
        raise ValueError(f"θ = {theta} is not on the grid: the nearest is {THETA[index]}")
    return index


@lru_cache(maxsize=16)
def prior(spec: PriorSpec) -> Floats:
    """Mass of each point of THETA (not normalised): density by the width of the grid there."""
    mass = np.zeros_like(THETA)
    for deviation, share in spec:
        mass += share * np.exp(-0.5 * (THETA / deviation) ** 2) / deviation
    mass *= np.gradient(THETA)
    mass.setflags(write=False)
    return mass
