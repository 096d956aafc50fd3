"""Do the enrolments follow the weights? A sample that lost users of one role cannot be trusted, whatever it shows.

    E = mean over η of Π over strata of  e^{η·b} / (1 − w + w·e^η)^n

for b of n new users enrolled as challenger's under the designed weight w: exact at any number of looks while the
weights move (a χ² against an average ratio always fires once they do).
"""

from __future__ import annotations

import numpy as np

from usher.experiments.stats import change_point
from usher.experiments.stats.numerics import Floats, log_mean_exp

_TILTS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
ETA: Floats = np.array([*(-tilt for tilt in reversed(_TILTS)), *_TILTS])


def increment(exposed: Floats, weight: Floats) -> Floats:
    """Logs of a stratum's e-values, (R, 14). exposed: (R, 2) new users by role; weight: the designed share (R,)."""
    users = exposed.sum(axis=1)
    result: Floats = exposed[:, 1, None] * ETA - users[:, None] * np.log1p(weight[:, None] * np.expm1(ETA))
    return result


def log_e(log_sum: Floats, started: Floats) -> Floats:
    """log e-value (R,) against "enrolments follow the weights". log_sum: (R, 14); started: see change_point."""
    return change_point.with_waiting(log_mean_exp(log_sum), started)
