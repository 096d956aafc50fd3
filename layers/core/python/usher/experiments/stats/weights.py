"""The challenger's share: stages that open as its users are counted, a cap, and less when it falls behind.

The share may react to the challenger being behind, never to its being ahead: the looks spend their error rate by the
calendar, and information that flows faster while the score is high would void it (docs/shifting.md; a test holds it).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from usher.experiments.stats.numerics import Floats, Ints, normal_cdf
from usher.experiments.stats.presets import Preset


class Share(NamedTuple):
    """Stage (R,), users of the challenger counted in it (R,), and its share of new users (R,), 0 to 1."""

    stage: Ints
    users: Ints
    weight: Floats


def probability_better(score: Floats, information: Floats, prior_deviation: float) -> Floats:
    """P(the challenger is better), (R,), under a normal prior of θ with mean zero."""
    return normal_cdf(score / np.sqrt(information + prior_deviation**-2))


def next_share(stage: Ints, users: Ints, better: Floats, preset: Preset) -> Share:
    """Open the stages that are due, then take the cap; below the knee the share falls at once, down to the floor."""
    needed = np.array([item.users for item in preset.stages] + [np.iinfo(np.int64).max])
    caps = np.array([item.cap for item in preset.stages] + [preset.cap])
    for _ in preset.stages:
        opens = (users >= needed[stage]) & (better >= preset.knee)
        stage, users = stage + opens, users - np.where(opens, needed[stage], 0)
    cap = caps[stage]
    weight = np.maximum(cap * np.minimum(better / preset.knee, 1.0), np.minimum(preset.floor, cap))
    # In steps of 1/10,000: the router, the endpoint and the stored state hold the same number.
    return Share(stage, users, np.round(weight, 4))
