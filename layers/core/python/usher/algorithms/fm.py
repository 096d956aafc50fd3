"""`fm`: a Bayesian factorization machine with item features, which predicts ratings.

Hyperparameters have the names of SageMaker's built-in algorithm; an epoch is one sweep of the Gibbs sampler.
"""

from __future__ import annotations

from usher.algorithms.definition import Algorithm, Parameter, Tuning

ALGORITHM = Algorithm(
    name="fm",
    summary="predicts ratings: a Bayesian factorization machine with item features, by blocked Gibbs sampling",
    role="rating",
    fit="usher_models.models.fm:fit",
    validate="usher_models.models.fm:validate",
    reader="usher_scorer.rater:read_rater",
    objective="rmse",
    objective_type="Minimize",
    rows_per_second=5_000.0,
    parameters=(
        Parameter(
            "num_factors", "integer", 16, "length of a user's and an item's vector", 1, 256, tuning=Tuning(8, 48)
        ),
        Parameter("epochs", "integer", 160, "sweeps of the sampler", 2, 5000),
        Parameter("samples", "integer", 32, "posterior samples kept for serving", 1, 256),
        Parameter(
            "predictor_type",
            "categorical",
            "regressor",
            "a rating, or whether it is at least 4",
            choices=("regressor", "binary_classifier"),
        ),
        Parameter(
            "init_sigma",
            "continuous",
            0.3,
            "standard deviation of the first factors",
            0.001,
            10,
            tuning=Tuning(0.05, 1),
        ),
        Parameter("item_features", "categorical", "yes", "genres, year and tags as features", choices=("yes", "no")),
    ),
    ratings_only=True,
)
