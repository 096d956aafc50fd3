"""From a factor score to a probability: logistic regression on likes that the factors had not seen (Platt 1999)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.simulated_users.factors import Factors, fit_factors
from demo.simulated_users.history import Bools, Floats, History, Ints

#: Part of the likes that is held out to calibrate on.
HELD_OUT = 0.1
#: So many cells without a like are drawn for each held-out like; the intercept is put right for it.
_CELLS_PER_LIKE = 60
_SMALLEST_SCORE = 1e-3
_NEWTON_STEPS = 25


@dataclass(frozen=True, slots=True)
class Calibration:
    """logit P = intercept + by_log · log s + by_score · s, of a factor score s.

    auc: of held-out likes against other unseen cells; popularity_auc: the same of the item's popularity.
    """

    intercept: float
    by_log: float
    by_score: float
    auc: float = float("nan")
    popularity_auc: float = float("nan")

    def probability(self, scores: Floats) -> Floats:
        """That somebody likes what was scored so, elementwise, 0 to 1."""
        weights = np.array([self.intercept, self.by_log, self.by_score])
        result: Floats = 1.0 / (1.0 + np.exp(-_features(scores) @ weights))
        return result


def calibrate(rated: History, liked: History, rng: np.random.Generator) -> Calibration:
    """Hold a tenth of the likes out, fit factors on the rest, and regress on unseen cells.

    rated: all rows; what somebody rated but did not like is no unseen cell. Both share their ids.
    """
    held = rng.random(len(liked)) < HELD_OUT
    factors = fit_factors(liked.rows(~held), rng)
    popularity = np.bincount(liked.item[~held], minlength=len(liked.item_ids)).astype(np.float64)
    likes = liked.person[held], liked.item[held]
    others, cells = _unseen(rated, int(held.sum()) * _CELLS_PER_LIKE, rng)
    score = np.concatenate([_scores(factors, *likes), _scores(factors, *others)])
    is_like = np.arange(len(score)) < held.sum()
    weights = _regress(_features(score), is_like)
    # Fewer other cells were drawn than there are: their part of the odds is put back.
    weights[0] += np.log(len(others[0]) / cells)
    by_popularity = np.concatenate([popularity[likes[1]], popularity[others[1]]])
    intercept, by_log, by_score = map(float, weights)
    return Calibration(intercept, by_log, by_score, _auc(score, is_like), _auc(by_popularity, is_like))


def _features(scores: Floats) -> Floats:
    return np.stack([np.ones_like(scores), np.log(np.maximum(scores, _SMALLEST_SCORE)), scores], axis=-1)


def _scores(factors: Factors, person: Ints, item: Ints) -> Floats:
    result: Floats = np.einsum("nk,nk->n", factors.people[person], factors.items[item])
    return result


def _unseen(rated: History, draws: int, rng: np.random.Generator) -> tuple[tuple[Ints, Ints], int]:
    """Some of the cells that nobody rated, and how many there are in all."""
    people, items = len(rated.person_ids), len(rated.item_ids)
    person, item = rng.integers(0, people, draws), rng.integers(0, items, draws)
    known = np.unique(rated.person * items + rated.item)
    free = ~np.isin(person * items + item, known)
    return (person[free], item[free]), people * items - len(known)


def _regress(features: Floats, is_like: Bools) -> Floats:
    """Newton's method on the logistic likelihood; a little ridge, so that few likes do not run away."""
    weights = np.zeros(features.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-features @ weights))
        curvature = (features * (chance * (1.0 - chance))[:, None]).T @ features + 1e-3 * np.eye(len(weights))
        step = np.linalg.solve(curvature, features.T @ (is_like - chance) - 1e-3 * weights)
        weights += np.clip(step, -3.0, 3.0)
    return weights


def _auc(score: Floats, is_like: Bools) -> float:
    """The chance that a like outranks another cell (Mann-Whitney); equal scores share their ranks."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2.0)[place]
    likes, others = int(is_like.sum()), int((~is_like).sum())
    return float((ranks[is_like].sum() - likes * (likes + 1) / 2.0) / max(likes * others, 1))
