"""`fm`: a Bayesian factorization machine with item features, which predicts ratings (or, as a classifier, labels).

It learns from ratings alone: a purchase or a click says that somebody wanted an item, not how they found it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from usher.schema.interactions import POSITIVE_RATING, RATING_MAX, RATING_MIN
from usher_models.algorithm import Fitted
from usher_models.errors import DataError
from usher_models.evaluation.rating import predict_rows, rating_metrics
from usher_models.evaluation.window import split_window
from usher_models.features import item_features
from usher_models.hyperparameters import Parameter
from usher_models.models.fm_sampler import Sweep, sample
from usher_models.ratings import Items, Ratings
from usher_scorer.rater import read_rater

#: All kept samples together take at most this much; with more items or factors fewer are kept.
SAMPLES_MAX_BYTES = 256 * 1024 * 1024
#: Kept samples lie so many sweeps apart: neighbours tell the same.
THINNING = 4


class FactorizationMachine:
    """Hyperparameters with the names of SageMaker's built-in algorithm; an epoch is one sweep of the sampler."""

    name = "fm"
    parameters: Sequence[Parameter] = (
        Parameter("num_factors", "integer", 16, "length of a user's and an item's vector", 1, 256),
        Parameter("epochs", "integer", 160, "sweeps of the sampler", 2, 5000),
        Parameter("samples", "integer", 32, "posterior samples kept for serving", 1, 256),
        Parameter(
            "predictor_type",
            "categorical",
            "regressor",
            "a rating, or whether it is at least 4",
            choices=("regressor", "binary_classifier"),
        ),
        Parameter("init_sigma", "continuous", 0.3, "standard deviation of the first factors", 0.001, 10),
        Parameter("item_features", "categorical", "yes", "genres, year and tags as features", choices=("yes", "no")),
    )

    def fit(self, ratings: Ratings, items: Items, values: Mapping[str, Any]) -> Fitted:
        """Sample the posterior and keep its last samples, thinned; nothing where no row is a rating."""
        if not len(ratings):
            raise DataError("fm: there is no rating to train on")
        ratings = ratings.stated
        if not len(ratings):
            return Fitted.nothing("no rating lies before the split, only events")
        binary = values["predictor_type"] == "binary_classifier"
        keep = Keep(values["epochs"], _affordable(values["samples"], len(items), values["num_factors"]))
        sample(
            ratings.user,
            ratings.item,
            ratings.positive.astype(np.float32) if binary else ratings.value,
            (ratings.users, len(items)),
            item_features=list(item_features(items).values()) if values["item_features"] == "yes" else (),
            factors=values["num_factors"],
            sweeps=values["epochs"],
            seed=values["seed"],
            binary=binary,
            threads=len(os.sched_getaffinity(0)),
            start=values["init_sigma"],
            each=keep,
        )
        settings = {"predictor_type": values["predictor_type"], "offset": keep.offset}
        return Fitted(settings, keep.arrays()).checked(self.name)

    def validate(self, fitted: Fitted, train: Ratings, validation: Ratings, items: Items) -> Mapping[str, float]:
        """RMSE and MAE of users folded in on what they rated before and in the first half of the window.

        Without a rating to measure on, the error is the scale's whole width: tuning goes on, and has nothing to choose
        by.
        """
        window = split_window(train, validation)
        if fitted.left_out or not window.stated.any():
            return {"rmse": RATING_MAX - RATING_MIN, "mae": RATING_MAX - RATING_MIN}
        rater = read_rater(fitted.settings, fitted.arrays, len(items))
        target = window.later_ratings
        if rater.binary:
            target = (target >= POSITIVE_RATING).astype(np.float32)
        return rating_metrics(predict_rows(rater, window), target)


class Keep:
    """Collects what serving needs of the last sweeps: float16 halves the bundle and moves no prediction by 0.001."""

    def __init__(self, sweeps: int, samples: int) -> None:
        thinning = max(1, min(THINNING, sweeps // (2 * samples)))
        last = sweeps - 1
        self._sweeps = {last - n * thinning for n in range(samples) if last - n * thinning >= min(last, sweeps // 10)}
        self._kept: list[dict[str, Any]] = []
        self.offset = 0.0

    def __call__(self, sweep: Sweep) -> None:
        self.offset = sweep.offset
        if sweep.number not in self._sweeps:
            return
        users, items = sweep.users, sweep.items
        self._kept.append(
            {
                "draws": items.rows.astype(np.float16),
                "means": items.means.astype(np.float16),
                "prior_mean": users.mean.astype(np.float32),
                "prior_precision": users.precision.astype(np.float32),
                "noise": np.float32(np.median(users.noise)),
                "default": items.prior.mean(axis=0),
            }
        )

    def arrays(self) -> dict[str, Any]:
        """The arrays of the part, samples on axis 1 for items and on axis 0 otherwise."""
        names = self._kept[0].keys()
        by_item = ("draws", "means")
        return {
            name: np.ascontiguousarray(np.stack([one[name] for one in self._kept], axis=1 if name in by_item else 0))
            for name in names
        }


def _affordable(samples: int, items: int, factors: int) -> int:
    """How many samples fit into SAMPLES_MAX_BYTES (two float16 arrays each)."""
    return max(1, min(samples, SAMPLES_MAX_BYTES // (4 * items * (factors + 1))))
