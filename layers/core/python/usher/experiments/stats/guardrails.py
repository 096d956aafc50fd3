"""Guardrails, each minute: server errors, slow and empty responses of the challenger, against the champion and a limit.

Each is a stream of yes or no per request ("slower than the objective at the 99th percentile" is a rate of 1 %), so two
e-processes test it at any traffic, without thresholds to tune:

    relative  the challenger's odds of a bad response are at most 1.5 times the champion's
    absolute  its rate of bad responses is at most the limit

When the champion breaks its own limit the cause is shared: weights freeze, and the challenger's absolute evidence
starts anew; and that evidence counts only while the relative one also points at the challenger.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from usher.experiments.stats import change_point
from usher.experiments.stats.numerics import Bools, Floats, log_mean_exp

#: The odds ratio that is still tolerated, and the log odds ratios tested against it.
_TOLERATED = math.log(1.5)
RELATIVE: Floats = np.array([0.65, 0.85, 1.1, 1.5, 2.0, 3.0, 4.5])
#: Rates of bad responses tested against a limit of 1 %; other limits scale the odds.
_RATES: Floats = np.array([0.02, 0.05, 0.10, 0.25, 0.60])
ABSOLUTE_POINTS = len(_RATES)
#: From this e-value on the champion is taken to share the fault.
_SHARED_LOG_E = math.log(20.0)
#: Absolute evidence counts from this relative e-value on: one of two equal models passes it in at most one case of 20.
_WORSE_LOG_E = math.log(20.0)
#: Evidence is held below this, so that a champion that recovered is believed within some hundred requests.
_LOG_E_CEILING = math.log(1e7)


class Guardrails(NamedTuple):
    """Accumulated evidence by kind: relative (R, kinds, 7); absolute and champion (R, kinds, 5)."""

    relative: Floats
    absolute: Floats
    champion: Floats

    @classmethod
    def new(cls, experiments: int, kinds: int) -> Guardrails:
        shapes = (len(RELATIVE), ABSOLUTE_POINTS, ABSOLUTE_POINTS)
        return cls(*(np.full((experiments, kinds, size), change_point.INITIAL) for size in shapes))


class RequestCounts(NamedTuple):
    """One minute's requests (R, 2) by role, and the bad responses among them (R, kinds, 2)."""

    requests: Floats
    bad: Floats


def advance(rails: Guardrails, counts: RequestCounts, limits: Floats, started: change_point.Started) -> Guardrails:
    """Add a minute. limits: the rates of bad responses allowed, (kinds,)."""
    requests, bad = counts
    champion = change_point.advance(rails.champion, _absolute(requests[:, 0], bad[:, :, 0], limits), started)
    absolute = change_point.advance(rails.absolute, _absolute(requests[:, 1], bad[:, :, 1], limits), started)
    relative = change_point.advance(rails.relative, _relative(requests, bad), started)
    shared = change_point.with_waiting(log_mean_exp(champion), started.now[:, None]) >= _SHARED_LOG_E
    absolute = np.where(shared[:, :, None], np.minimum(absolute, change_point.INITIAL), absolute)
    return Guardrails(*(np.minimum(part, _LOG_E_CEILING) for part in (relative, absolute, champion)))


def _absolute(requests: Floats, bad: Floats, limits: Floats) -> Floats:
    """Logs of e-values against "the rate is at most its limit", (R, kinds, 5)."""
    odds = _RATES / (1 - _RATES) * 99.0 * (limits / (1 - limits))[:, None]
    rates = odds / (1 + odds)
    on_bad, on_good = np.log(rates / limits[:, None]), np.log((1 - rates) / (1 - limits[:, None]))
    good = requests[:, None] - bad
    result: Floats = bad[:, :, None] * on_bad + good[:, :, None] * on_good
    return result


def _relative(requests: Floats, bad: Floats) -> Floats:
    """Logs of e-values against "the odds ratio is at most 1.5", (R, kinds, 7).

    The sum over the hypergeometric is replaced by draws with replacement. It is a sum of independent coins, and for θ
    above 0 the cumulant's slope is concave in their probabilities, so this bounds it from above (Jensen): valid.
    """
    share = (requests[:, 1] / np.maximum(requests.sum(axis=1), 1.0))[:, None, None]
    drawn = np.log1p(share * np.expm1(RELATIVE)) - np.log1p(share * np.expm1(_TOLERATED))
    result: Floats = bad[:, :, 1, None] * (RELATIVE - _TOLERATED) - bad.sum(axis=2)[:, :, None] * drawn
    return result


def log_e_challenger(rails: Guardrails, started: Floats, alone: Bools) -> Floats:
    """log e-value (R,) that the challenger breaks a guardrail: the mean over kinds, half relative, half absolute.

    In an outage of both, neither model must be blamed for crossing its limit first: the absolute half counts only where
    the challenger is also worse than the champion, or serves `alone` (R,), as after its promotion. Leaving evidence out
    keeps the error rate.
    """
    relative = log_mean_exp(rails.relative)
    counts = (relative >= _WORSE_LOG_E) | alone[:, None]
    absolute = np.where(counts, log_mean_exp(rails.absolute), -np.inf)
    halves = np.stack([relative, absolute], axis=-1)
    return change_point.with_waiting(log_mean_exp(log_mean_exp(halves)), started)


def log_e_champion(rails: Guardrails, started: Floats) -> Floats:
    """log e-value (R,) that the champion breaks its own limits: the mean over kinds."""
    return change_point.with_waiting(log_mean_exp(log_mean_exp(rails.champion)), started)


def worst_kind(rails: Guardrails) -> tuple[int, bool]:
    """The kind with the most evidence in the first experiment, and whether it is relative (True) or absolute."""
    relative, absolute = log_mean_exp(rails.relative[0]), log_mean_exp(rails.absolute[0])
    kind = int(np.argmax(np.maximum(relative, absolute)))
    return kind, bool(relative[kind] >= absolute[kind])
