"""Other decision policies, to compare with Usher in the same worlds: bandits, repeated tests, confidence sequences.

The bandits are those of AWS's SageMaker A/B sample (ε-greedy, UCB1, Thompson on pooled counts). The sample never
stops by itself; here each stops when P(best) reaches 95 % at the end of an epoch. One row of an array is one run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cli.simulation.world import World, draw
from usher.experiments.stats.boundary import Look, look_bounds
from usher.experiments.stats.numerics import Bools, Floats, Ints, normal_cdf

#: The nominal one-sided error rate of each policy.
ALPHA = 0.05
_Z_ONE_SIDED = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Pooled:
    """Users and conversions so far, (R, 2) by role: the state of these policies."""

    users: Floats
    conversions: Floats

    @property
    def rates(self) -> Floats:
        result: Floats = self.conversions / np.maximum(self.users, 1)
        return result

    @property
    def z(self) -> Floats:
        """Pooled z statistic of the difference, (R,)."""
        total = np.maximum(self.users.sum(axis=1), 1)
        rate = self.conversions.sum(axis=1) / total
        spread = np.maximum(rate * (1 - rate), 1e-12) * (1 / np.maximum(self.users, 1)).sum(axis=1)
        result: Floats = (self.rates[:, 1] - self.rates[:, 0]) / np.sqrt(spread)
        return result

    @property
    def challenger_best(self) -> Floats:
        """P(the challenger's rate is higher) under Beta(1, 1) posteriors, by their normal approximation, (R,)."""
        alpha, beta = 1 + self.conversions, 1 + np.maximum(self.users - self.conversions, 0)
        mean = alpha / (alpha + beta)
        variance = mean * beta / ((alpha + beta) * (alpha + beta + 1))
        return normal_cdf((mean[:, 1] - mean[:, 0]) / np.sqrt(variance.sum(axis=1)))


Weigh = Callable[[Pooled], Floats]
#: (counts, epoch from one on) → 1 promote, −1 retire, 0 go on, (R,)
Judge = Callable[[Pooled, int], Ints]


@dataclass(frozen=True, slots=True)
class Rival:
    name: str
    weigh: Weigh
    judge: Judge


def _half(pooled: Pooled) -> Floats:
    return np.full(len(pooled.users), 0.5)


def _cold(pooled: Pooled, warm: Floats) -> Floats:
    """The sample's warm-up: 100 per variant, split evenly."""
    return np.where(pooled.users.min(axis=1) <= 100, 0.5, warm)


def _epsilon_greedy(pooled: Pooled) -> Floats:
    return _cold(pooled, np.where(pooled.rates[:, 1] > pooled.rates[:, 0], 0.95, 0.05))


def _ucb1(pooled: Pooled) -> Floats:
    """Deterministic given the counts, which arrive in batches: a whole batch goes to one arm."""
    users = np.maximum(pooled.users, 1)
    upper = pooled.rates + np.sqrt(2 * np.log(users.sum(axis=1, keepdims=True)) / users)
    return _cold(pooled, (upper[:, 1] > upper[:, 0]).astype(np.float64))


def _thompson(pooled: Pooled) -> Floats:
    return _cold(pooled, pooled.challenger_best)


def _verdict(up: Bools, down: Bools) -> Ints:
    return np.where(up, 1, np.where(down, -1, 0)).astype(np.int64)


def _best_at_95(pooled: Pooled, _: int) -> Ints:
    best, ready = pooled.challenger_best, pooled.users.min(axis=1) >= 1000
    return _verdict(ready & (best >= 0.95), ready & (best <= 0.05))


def _repeated_z(pooled: Pooled, _: int) -> Ints:
    z, ready = pooled.z, pooled.users.min(axis=1) >= 100
    return _verdict(ready & (z > _Z_ONE_SIDED), ready & (z < -_Z_ONE_SIDED))


def _asymptotic_sequence(pooled: Pooled, _: int) -> Ints:
    """One-sided asymptotic confidence sequence (Waudby-Smith et al. 2021), tuned to 5,000 users, as GrowthBook's."""
    tuning = -2 * math.log(2 * ALPHA)
    rho2 = (tuning + math.log(tuning + 1)) / 5000
    total, rates = pooled.users.sum(axis=1), pooled.rates
    variance = total * (rates * (1 - rates) / np.maximum(pooled.users, 1)).sum(axis=1)
    k = total * rho2 + 1
    half = np.sqrt(variance * 2 * k / (np.maximum(total, 1) ** 2 * rho2) * np.log(1 + np.sqrt(k) / (2 * ALPHA)))
    gap, ready = rates[:, 1] - rates[:, 0], pooled.users.min(axis=1) >= 100
    return _verdict(ready & (gap > half), ready & (gap < -half))


def _daily_looks(horizon_hours: int) -> Judge:
    """Group-sequential: one look a day, spending alpha·t² (as Spotify's Confidence), at a fixed split."""
    looks = horizon_hours // 24
    bounds: list[float] = []
    for look in range(1, looks + 1):
        past = np.arange(1.0, look)[None, :], np.array(bounds)[None, :]
        spent = ALPHA * (look / looks) ** 2
        now, end = np.array([float(look)]), np.array([float(looks)])
        bounds.append(float(look_bounds(Look(*past, now, end, spent, ALPHA)).now[0]))

    def judge(pooled: Pooled, epoch: int) -> Ints:
        if epoch % 24:
            return np.zeros(len(pooled.users), dtype=np.int64)
        bound = bounds[epoch // 24 - 1] / math.sqrt(epoch // 24)
        return _verdict(pooled.z > bound, pooled.z < -bound)

    return judge


def rivals(horizon_hours: int = 336) -> tuple[Rival, ...]:
    return (
        Rival("ε-greedy 0.1 (AWS sample) + P(best) ≥ 95 %", _epsilon_greedy, _best_at_95),
        Rival("UCB1 (AWS sample) + P(best) ≥ 95 %", _ucb1, _best_at_95),
        Rival("Thompson (AWS sample) + P(best) ≥ 95 %", _thompson, _best_at_95),
        Rival("z-test, looked at hourly", _half, _repeated_z),
        Rival("group-sequential, daily looks", _half, _daily_looks(horizon_hours)),
        Rival("asymptotic confidence sequence", _half, _asymptotic_sequence),
    )


@dataclass(frozen=True, slots=True)
class RivalResults:
    """One row per run. verdict: 1 promoted, −1 retired, 0 undecided; lost: conversions lost until it ended."""

    verdict: Ints
    hours: Floats
    challenger_users: Floats
    lost: Floats

    @property
    def promoted(self) -> float:
        return float((self.verdict == 1).mean())

    @property
    def median_hours(self) -> float:
        chosen = self.hours[self.verdict == 1]
        return float(np.median(chosen)) if len(chosen) else float("nan")


def run_rival(rival: Rival, world: World, runs: int, seed: int, horizon_hours: int = 336) -> RivalResults:
    """Hourly epochs until each run is decided, or the horizon."""
    rng = np.random.default_rng(seed)
    pooled = Pooled(np.zeros((runs, 2)), np.zeros((runs, 2)))
    result = RivalResults(np.zeros(runs, dtype=np.int64), *np.zeros((3, runs)))
    running = np.arange(runs)
    for epoch in range(1, horizon_hours + 1):
        drawn = draw(world, epoch - 1.0, np.clip(rival.weigh(pooled), 0, 1), rng)
        pooled = Pooled(pooled.users + drawn.exposed, pooled.conversions + drawn.converted)
        rates = np.array(world.rates(epoch - 1.0))
        result.lost[running] += drawn.enrolled @ (rates.max() - rates)
        result.challenger_users[running] += drawn.enrolled[:, 1]
        result.hours[running] = epoch
        verdict = rival.judge(pooled, epoch)
        result.verdict[running] = verdict
        goes_on = verdict == 0
        pooled, running = Pooled(pooled.users[goes_on], pooled.conversions[goes_on]), running[goes_on]
        if not len(running):
            break
    return result
