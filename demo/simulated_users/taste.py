"""What people like: fitted in the demo on every rating there is, also those that Usher is never shown.

Usher sees the first 90 % of the ratings at most; people have lived through all of them. So a model that learnt better
what comes next is chosen more often, and nobody has to say how often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cli.errors import CommandError
from demo.simulated_users.calibration import Calibration, calibrate
from demo.simulated_users.factors import Factors, fit_factors
from demo.simulated_users.history import Floats, History, Ints
from usher.schema.interactions import POSITIVE_RATING, RATING_MAX, RATING_MIN

#: Shrinkage of the biases of people and items, in ratings (Koren 2009, baseline predictors).
_BIAS_RATINGS = 10.0
_FEWEST_LIKES = 50


@dataclass(frozen=True, slots=True)
class Taste:
    """How likely somebody likes what they are shown, and what they would rate it.

    deviation: of a rating around what the biases say, in stars. places: item id → its place in `factors.items`.
    """

    history: History
    factors: Factors
    calibration: Calibration
    mean: float
    person_bias: Floats
    item_bias: Floats
    deviation: float
    places: Mapping[str, int]

    def attraction(self, vector: Floats, items: Ints) -> Floats:
        """P(somebody with this vector (k,) likes it) for items (n,) that they look at."""
        return self.calibration.probability(self.factors.items[items] @ vector)

    def rating(self, person_bias: float, item: int, rng: np.random.Generator) -> float:
        """What somebody gives, in half stars from 0.5 to 5."""
        stars = self.mean + person_bias + self.item_bias[item] + rng.normal(0.0, self.deviation)
        return float(np.clip(np.round(stars * 2.0) / 2.0, RATING_MIN, RATING_MAX))


def fit_taste(history: History, seed: int) -> Taste:
    """Fit on all of `history`; seconds for MovieLens' 100,000 rows. The same seed gives the same taste.

    CommandError when there are too few likes to learn anything from.
    """
    liked = history.rows(history.rating >= POSITIVE_RATING)
    if len(liked) < _FEWEST_LIKES:
        raise CommandError(
            f"{len(liked)} ratings are {POSITIVE_RATING:g} or more: people need {_FEWEST_LIKES} to have a taste"
        )
    calibration = calibrate(history, liked, np.random.default_rng([seed, 1]))
    factors = fit_factors(liked, np.random.default_rng([seed, 2]))
    mean = float(history.rating.mean())
    item_bias = _biases(history.item, history.rating - mean, len(history.item_ids))
    person_bias = _biases(history.person, history.rating - mean - item_bias[history.item], len(history.person_ids))
    left = history.rating - mean - item_bias[history.item] - person_bias[history.person]
    places = {item_id: place for place, item_id in enumerate(history.item_ids)}
    return Taste(history, factors, calibration, mean, person_bias, item_bias, float(left.std()), places)


def _biases(of: Ints, residual: Floats, count: int) -> Floats:
    rows = np.bincount(of, minlength=count)
    result: Floats = np.bincount(of, weights=residual, minlength=count) / (rows + _BIAS_RATINGS)
    return result
