"""What simulated users like: implicit ALS on every rating, calibrated to probabilities.

It uses none of Usher's own models, so that the users do not share their mistakes. It is fitted on all ratings; Usher
receives 90 % of them at most. A model that predicts the rest better is therefore clicked more often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cli.errors import CommandError
from demo.simulated_users.history import Bools, Floats, History, Ints
from usher.schema.interactions import POSITIVE_RATING, RATING_MAX, RATING_MIN

_FEWEST_LIKES = 50
#: Confidence weight, regularisation and dimension of ALS; tuned on held-out likes (AUC) of MovieLens.
ALPHA = 20.0
REGULARISATION = 50.0
FACTORS = 24
SWEEPS = 5
#: Share of the likes that is held out for the calibration, and unrated pairs sampled for each of them.
HELD_OUT = 0.1
_NEGATIVES_PER_LIKE = 60
_SMALLEST_SCORE = 1e-3
_NEWTON_STEPS = 25
#: Shrinkage of the user and item biases, in ratings (Koren 2009, baseline predictors).
_BIAS_RATINGS = 10.0


@dataclass(frozen=True, slots=True)
class Factors:
    """Latent factors: users (users, k), items (items, k)."""

    users: Floats
    items: Floats


@dataclass(frozen=True, slots=True)
class Calibration:
    """logit P(like) = intercept + by_log · log s + by_score · s, of a factor score s.

    auc: of held-out likes against unrated pairs; popularity_auc: the same when items are scored by popularity.
    """

    intercept: float
    by_log: float
    by_score: float
    auc: float = float("nan")
    popularity_auc: float = float("nan")

    def probability(self, scores: Floats) -> Floats:
        """P(like) of each score, 0 to 1."""
        weights = np.array([self.intercept, self.by_log, self.by_score])
        result: Floats = 1.0 / (1.0 + np.exp(-_features(scores) @ weights))
        return result


@dataclass(frozen=True, slots=True)
class PreferenceModel:
    """P(like) of items for a user vector, and the rating that a user would give.

    deviation: standard deviation of ratings around the bias prediction, in stars. item_index: item id → its row in
    `factors.items`.
    """

    history: History
    factors: Factors
    calibration: Calibration
    mean: float
    user_bias: Floats
    item_bias: Floats
    deviation: float
    item_index: Mapping[str, int]

    def like_probability(self, vector: Floats, items: Ints) -> Floats:
        """P(like) of items (n,) for a user vector (k,), (n,)."""
        return self.calibration.probability(self.factors.items[items] @ vector)

    def rating(self, user_bias: float, item: int, rng: np.random.Generator) -> float:
        """A rating of an item, in half stars from 0.5 to 5."""
        stars = self.mean + user_bias + self.item_bias[item] + rng.normal(0.0, self.deviation)
        return float(np.clip(np.round(stars * 2.0) / 2.0, RATING_MIN, RATING_MAX))


def fit_preferences(history: History, seed: int) -> PreferenceModel:
    """Fit on all of `history`; seconds for MovieLens' 100,000 rows. The same seed gives the same model.

    Raises CommandError when there are fewer than 50 likes.
    """
    liked = history.rows(history.rating >= POSITIVE_RATING)
    if len(liked) < _FEWEST_LIKES:
        raise CommandError(
            f"only {len(liked)} ratings are {POSITIVE_RATING:g} stars or more, and simulated users need at least "
            f"{_FEWEST_LIKES} to have preferences: pass a larger ratings.csv"
        )
    calibration = calibrate(history, liked, np.random.default_rng([seed, 1]))
    factors = fit_factors(liked, np.random.default_rng([seed, 2]))
    mean = float(history.rating.mean())
    item_bias = _biases(history.item, history.rating - mean, len(history.item_ids))
    user_bias = _biases(history.user, history.rating - mean - item_bias[history.item], len(history.user_ids))
    residual = history.rating - mean - item_bias[history.item] - user_bias[history.user]
    item_index = {item_id: index for index, item_id in enumerate(history.item_ids)}
    return PreferenceModel(history, factors, calibration, mean, user_bias, item_bias, float(residual.std()), item_index)


def _biases(group: Ints, residual: Floats, count: int) -> Floats:
    rows = np.bincount(group, minlength=count)
    result: Floats = np.bincount(group, weights=residual, minlength=count) / (rows + _BIAS_RATINGS)
    return result


def fit_factors(liked: History, rng: np.random.Generator) -> Factors:
    """Implicit ALS (Hu, Koren, Volinsky 2008) on liked rows; the generator alone decides the start values."""
    items = rng.normal(0.0, 0.1, (len(liked.item_ids), FACTORS))
    users = np.zeros((len(liked.user_ids), FACTORS))
    by_user, by_item = _grouped(liked.user, liked.item, len(users)), _grouped(liked.item, liked.user, len(items))
    for _ in range(SWEEPS):
        users = _solve(items, by_user)
        items = _solve(users, by_item)
    return Factors(_solve(items, by_user), items)


def _grouped(key: Ints, value: Ints, count: int) -> list[Ints]:
    """The values of each key from 0 to count - 1."""
    order = np.argsort(key, kind="stable")
    return np.split(value[order], np.searchsorted(key[order], np.arange(1, count)))


def _solve(other: Floats, rows: list[Ints]) -> Floats:
    """One side given the other: (Yᵀ Y + α Yᵤᵀ Yᵤ + λ) x = (1 + α) Yᵤᵀ 1 for each row."""
    gram = other.T @ other + REGULARISATION * np.eye(other.shape[1])
    result = np.zeros((len(rows), other.shape[1]))
    for number, indices in enumerate(rows):
        if len(indices):
            own = other[indices]
            result[number] = np.linalg.solve(gram + ALPHA * own.T @ own, (1 + ALPHA) * own.sum(axis=0))
    return result


def calibrate(rated: History, liked: History, rng: np.random.Generator) -> Calibration:
    """Logistic regression (Platt 1999) on likes that the factors have not seen, against unrated pairs.

    rated: all rows, so that a pair that was rated but not liked is not sampled. Both share their ids.
    """
    held_out = rng.random(len(liked)) < HELD_OUT
    factors = fit_factors(liked.rows(~held_out), rng)
    popularity = np.bincount(liked.item[~held_out], minlength=len(liked.item_ids)).astype(np.float64)
    likes = liked.user[held_out], liked.item[held_out]
    negatives, unrated = _unrated(rated, int(held_out.sum()) * _NEGATIVES_PER_LIKE, rng)
    score = np.concatenate([_scores(factors, *likes), _scores(factors, *negatives)])
    is_like = np.arange(len(score)) < held_out.sum()
    weights = _regress(_features(score), is_like)
    weights[0] += np.log(len(negatives[0]) / unrated)  # corrects the odds for the share of negatives that was sampled
    by_popularity = np.concatenate([popularity[likes[1]], popularity[negatives[1]]])
    intercept, by_log, by_score = map(float, weights)
    return Calibration(intercept, by_log, by_score, _auc(score, is_like), _auc(by_popularity, is_like))


def _features(scores: Floats) -> Floats:
    return np.stack([np.ones_like(scores), np.log(np.maximum(scores, _SMALLEST_SCORE)), scores], axis=-1)


def _scores(factors: Factors, user: Ints, item: Ints) -> Floats:
    result: Floats = np.einsum("nk,nk->n", factors.users[user], factors.items[item])
    return result


def _unrated(rated: History, draws: int, rng: np.random.Generator) -> tuple[tuple[Ints, Ints], int]:
    """A sample of (user, item) pairs that have no rating, and how many such pairs there are."""
    users, items = len(rated.user_ids), len(rated.item_ids)
    user, item = rng.integers(0, users, draws), rng.integers(0, items, draws)
    known = np.unique(rated.user * items + rated.item)
    free = ~np.isin(user * items + item, known)
    return (user[free], item[free]), users * items - len(known)


def _regress(features: Floats, is_like: Bools) -> Floats:
    """Newton's method on the logistic likelihood, with a small ridge penalty for the case of few likes."""
    weights = np.zeros(features.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-features @ weights))
        curvature = (features * (chance * (1.0 - chance))[:, None]).T @ features + 1e-3 * np.eye(len(weights))
        update = np.linalg.solve(curvature, features.T @ (is_like - chance) - 1e-3 * weights)
        weights += np.clip(update, -3.0, 3.0)
    return weights


def _auc(score: Floats, is_like: Bools) -> float:
    """P(a like outranks a negative), the Mann-Whitney statistic; equal scores share their mean rank."""
    _, index, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2.0)[index]
    likes, negatives = int(is_like.sum()), int((~is_like).sum())
    return float((ranks[is_like].sum() - likes * (likes + 1) / 2.0) / max(likes * negatives, 1))
