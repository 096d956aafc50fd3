"""`fm`: fits a Bayesian factorization machine with item features, which predicts ratings (or, as a classifier, labels).

It learns from ratings alone: a purchase or a click shows interest in an item, not how the user rates it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from usher.schema.interactions import POSITIVE_RATING, RATING_MAX, RATING_MIN
from usher_models.artifacts import Artifact
from usher_models.errors import DataError
from usher_models.evaluation.metrics import predict_rows, rating_metrics
from usher_models.evaluation.window import split_window
from usher_models.models.baselines import item_features
from usher_models.models.fm_sampler import Sweep, sample
from usher_models.ratings import Items, Ratings
from usher_scorer.rater import read_rater

#: All kept samples together take at most this much; with more items or factors fewer are kept.
SAMPLES_MAX_BYTES = 256 * 1024 * 1024
#: Kept samples are this many sweeps apart: neighbouring sweeps are correlated.
THINNING = 4


def fit(ratings: Ratings, items: Items, values: Mapping[str, Any]) -> Artifact:
    """Sample the posterior and keep its last samples, thinned; an empty artifact where no row is a rating."""
    if not len(ratings):
        raise DataError("fm: there is no rating to train on; upload ratings, or train without fm")
    ratings = ratings.stated
    if not len(ratings):
        return Artifact.empty("no rating lies before the split, only events")
    binary = values["predictor_type"] == "binary_classifier"
    kept = KeptSamples(values["epochs"], _affordable(values["samples"], len(items), values["num_factors"]))
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
        each=kept,
    )
    settings = {"predictor_type": values["predictor_type"], "offset": kept.offset}
    return Artifact(settings, kept.arrays()).checked("fm")


def validate(artifact: Artifact, train: Ratings, validation: Ratings, items: Items) -> Mapping[str, float]:
    """RMSE and MAE, each user folded in on what they rated before and in the first half of the window.

    Without a rating to measure on, both are the width of the rating scale: every trial of the tuning job has a metric.
    """
    window = split_window(train, validation)
    if artifact.left_out or not window.stated.any():
        return {"rmse": RATING_MAX - RATING_MIN, "mae": RATING_MAX - RATING_MIN}
    rater = read_rater(artifact.settings, artifact.arrays, len(items))
    target = window.later_ratings
    if rater.binary:
        target = (target >= POSITIVE_RATING).astype(np.float32)
    return rating_metrics(predict_rows(rater, window), target)


class KeptSamples:
    """Collects the last sweeps, thinned, for serving; float16 halves the bundle and moves no prediction by 0.001."""

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
        """The artifact's arrays: samples on axis 1 of item arrays (items, samples, k + 1), on axis 0 of the others."""
        names = self._kept[0].keys()
        by_item = ("draws", "means")
        return {
            name: np.ascontiguousarray(np.stack([one[name] for one in self._kept], axis=1 if name in by_item else 0))
            for name in names
        }


def _affordable(samples: int, items: int, factors: int) -> int:
    """How many samples fit into SAMPLES_MAX_BYTES (two float16 arrays each)."""
    return max(1, min(samples, SAMPLES_MAX_BYTES // (4 * items * (factors + 1))))


def compile_kernels() -> None:
    """Fill numba's cache by one small fit of each kind, when the image is built, so that jobs do not compile."""
    users, items = np.repeat(np.arange(10, dtype=np.int32), 5), np.tile(np.arange(5, dtype=np.int32), 10)
    features, y = [sp.csr_matrix(np.ones((5, 1), np.float32))], (np.arange(50) % 2).astype(np.float32)
    for binary in (False, True):
        small: dict[str, Any] = {"factors": 2, "sweeps": 1, "seed": 0, "binary": binary}
        sample(users, items, y, (10, 5), item_features=features, each=lambda _: None, **small)
