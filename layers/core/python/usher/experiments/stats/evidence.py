"""Conversions as evidence: given how many converted, in which arm they were has a known law when arms do not matter.

In a stratum (users enrolled under one set of weights) of a champion's and b challenger's users, c of whom converted,
the number X of the c in the challenger is hypergeometric whatever the base rate and however the weight was chosen.
With a common log odds ratio θ it is Fisher's noncentral hypergeometric, so

    L(θ) = Σ over strata of  x·θ − log E₀ exp(θ·X)

is a log likelihood without nuisance parameters, and mixtures of exp(L(θ) − L(θ₀)) are e-processes: the probability that
one ever reaches 1/α under the null is at most α, at any number of looks (Ville). Method: docs/shifting.md.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from usher.experiments.stats.numerics import Bools, Floats, Ints, log_sum_exp
from usher.experiments.stats.presets import PROMOTION_PRIOR, THETA_GRID, PriorSpec, index_of

THETA: Floats = np.array(THETA_GRID)
#: Beyond |θ|·sd = 8 (32 nats from one stratum) an upper bound replaces the exact sum, so that it stays short.
_EXACT_DEVIATIONS = 8.0
#: The sum reaches 9 standard deviations past the farthest tilt.
_WINDOW_DEVIATIONS = _EXACT_DEVIATIONS + 9.0
#: Rows are taken in blocks of at most this many terms, to bound memory.
_BLOCK_TERMS = 100_000


class Evidence(NamedTuple):
    """What strata add, one row per experiment: log likelihood over THETA (R, 45), score and information (R,)."""

    log_likelihood: Floats
    score: Floats
    information: Floats


class Margins(NamedTuple):
    """A stratum's margins as float arrays (R,): a champion's and b challenger's users, c conversions, x in b."""

    a: Floats
    b: Floats
    c: Floats
    x: Floats

    def rows(self, where: slice | Bools) -> Margins:
        return Margins(*(values[where] for values in self))

    @property
    def mean(self) -> Floats:
        return self.c * self.b / (self.a + self.b)

    @property
    def variance(self) -> Floats:
        n = self.a + self.b
        return self.c * (self.b / n) * (self.a / n) * (n - self.c) / (n - 1.0)


def stratum_evidence(exposed: Ints, converted: Ints) -> Evidence:
    """Evidence of one stratum per experiment. exposed, converted: (R, 2), users and those who converted, by role.

    A stratum in which only one role has users, or no user or every user converted, has no information and adds zero.
    """
    margins = Margins(*np.stack([*exposed.T, converted.sum(axis=1), converted[:, 1]]).astype(np.float64))
    informative = (margins.a > 0) & (margins.b > 0) & (margins.c > 0) & (margins.c < margins.a + margins.b)
    result = Evidence(np.zeros((len(informative), len(THETA))), np.zeros(len(informative)), np.zeros(len(informative)))
    if informative.any():
        rows = margins.rows(informative)
        result.score[informative], result.information[informative] = rows.x - rows.mean, rows.variance
        result.log_likelihood[informative] = _log_likelihood(rows)
    return result


def _log_likelihood(rows: Margins) -> Floats:
    width = int(2 * _half_window(rows)) + 1
    block = max(1, _BLOCK_TERMS // width)
    starts = range(0, len(rows.x), block)
    return np.concatenate([_block_log_likelihood(rows.rows(slice(start, start + block))) for start in starts])


def _half_window(rows: Margins) -> int:
    return math.ceil(_WINDOW_DEVIATIONS * math.sqrt(float(rows.variance.max())) + 12)


def _block_log_likelihood(rows: Margins) -> Floats:
    center = np.rint(rows.mean)
    half = _half_window(rows)
    low, high = np.maximum(0.0, rows.c - rows.a), np.minimum(rows.c, rows.b)
    below, above = min(half, int((center - low).max())), min(half, int((high - center).max()))
    offsets = np.arange(-below, above + 1, dtype=np.float64)
    tilt = np.exp(np.clip(offsets[:, None] * THETA, -600.0, 600.0))
    cumulant = np.log(_probabilities(rows, center, offsets) @ tilt) + center[:, None] * THETA
    far = np.abs(THETA) * np.sqrt(rows.variance)[:, None] > _EXACT_DEVIATIONS
    if far.any():
        cumulant = np.where(far, cumulant_bound(rows), cumulant)
    result: Floats = rows.x[:, None] * THETA - cumulant
    return result


def _probabilities(rows: Margins, center: Floats, offsets: Floats) -> Floats:
    """P₀(X = center + offset), (R, offsets): by the ratio of neighbours, so that no factorial is needed."""
    x = center[:, None] + offsets
    a, b, c = rows.a[:, None], rows.b[:, None], rows.c[:, None]
    possible = (x >= np.maximum(0.0, c - a)) & (x <= np.minimum(c, b))
    following = possible[:, :-1] & possible[:, 1:]
    here = x[:, :-1]
    ratio = np.ones_like(here)
    np.divide((c - here) * (b - here), (here + 1.0) * (a - c + here + 1.0), out=ratio, where=following)
    log_p = np.zeros_like(x)
    np.cumsum(np.log(ratio), axis=1, out=log_p[:, 1:])
    log_p = np.where(possible, log_p, -np.inf)
    weights = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    result: Floats = weights / weights.sum(axis=1, keepdims=True)
    return result


def cumulant_bound(rows: Margins) -> Floats:
    """An upper bound of log E₀ exp(θX), (R, 45): draws with replacement (Hoeffding 1963), the tightest of four ways.

    X may be read as c draws among users or as b draws among conversions, each also by its complement; fewer draws
    lose less. A bound from above makes the evidence smaller, never the error rate larger.
    """
    a, b, c = (values[:, None] for values in (rows.a, rows.b, rows.c))
    share, rate = b / (a + b), c / (a + b)
    up, down = np.expm1(THETA), np.expm1(-THETA)
    ways = (
        c * np.log1p(share * up),
        b * np.log1p(rate * up),
        c * THETA + a * np.log1p(rate * down),
        b * THETA + (a + b - c) * np.log1p(share * down),
    )
    result: Floats = np.minimum.reduce(ways)
    return result


@lru_cache(maxsize=16)
def prior(spec: PriorSpec) -> Floats:
    """Mass of each point of THETA (not normalised): density by the width of the grid there."""
    mass = np.zeros_like(THETA)
    for deviation, share in spec:
        mass += share * np.exp(-0.5 * (THETA / deviation) ** 2) / deviation
    mass *= np.gradient(THETA)
    mass.setflags(write=False)
    return mass


def log_e_above(log_likelihood: Floats, spec: PriorSpec = PROMOTION_PRIOR, theta: float = 0.0) -> Floats:
    """log e-value (R,) against "the log odds ratio is `theta` or less". log_likelihood: (R, 45); theta on the grid."""
    start = index_of(theta)
    return _log_e(log_likelihood, slice(start + 1, None), start, spec)


def log_e_below(log_likelihood: Floats, spec: PriorSpec = PROMOTION_PRIOR, theta: float = 0.0) -> Floats:
    """log e-value (R,) against "the log odds ratio is `theta` or more". log_likelihood: (R, 45); theta on the grid."""
    start = index_of(theta)
    return _log_e(log_likelihood, slice(None, start), start, spec)


def _log_e(log_likelihood: Floats, alternatives: slice, null: int, spec: PriorSpec) -> Floats:
    mass = prior(spec)[alternatives]
    return log_sum_exp(log_likelihood[:, alternatives] + np.log(mass / mass.sum())) - log_likelihood[:, null]


def confidence_sequence(log_likelihood: Floats, alpha: float = 0.05) -> tuple[Floats, Floats]:
    """Interval of θ, two arrays (R,), that holds the true value at all times at once with probability 1 − alpha.

    Grid points are excluded exactly; each end is the first excluded point, so the interval errs to the wide side.
    An end that nothing excludes is ±inf.
    """
    mass = prior(PROMOTION_PRIOR)
    mixture = log_sum_exp(log_likelihood + np.log(mass / mass.sum()))
    kept = mixture[:, None] - log_likelihood < -math.log(alpha)
    points = np.concatenate([[-np.inf], THETA, [np.inf]])
    first, last = kept.argmax(axis=1), len(THETA) - 1 - kept[:, ::-1].argmax(axis=1)
    empty = ~kept.any(axis=1)  # the grid is coarser than a very large experiment's evidence: the nearest point stands
    nearest = log_likelihood.argmax(axis=1)
    first, last = np.where(empty, nearest, first), np.where(empty, nearest, last)
    return points[first], points[last + 2]


def lift_of(theta: Floats, base_rate: Floats | float) -> Floats:
    """The relative change of the conversion rate that a log odds ratio means at the champion's rate (0 to 1)."""
    with np.errstate(over="ignore"):
        growth = np.expm1(np.asarray(theta, dtype=np.float64))
    rate = np.asarray(base_rate, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = (1.0 - rate) * growth / (1.0 + rate * growth)
        result: Floats = np.where(np.isinf(growth), np.where(rate > 0, 1.0 / rate - 1.0, np.inf), lift)
    return result
