"""`ranker`: orders the catalogue for a profile, by EASE with item features, or by implicit ALS on a large catalogue."""

from __future__ import annotations

from usher.algorithms.definition import Algorithm, Parameter, Tuning

ALGORITHM = Algorithm(
    name="ranker",
    summary="orders the catalogue for a profile: EASE with item features; implicit ALS above `max_items`",
    role="ranking",
    fit="usher_models.models.ranker:fit",
    validate="usher_models.models.ranker:validate",
    reader="usher_scorer.ranker:read_ranker",
    objective="ndcg@10",
    objective_type="Maximize",
    rows_per_second=5_000.0,
    parameters=(
        Parameter("method", "categorical", "auto", "auto: ease up to max_items", choices=("auto", "ease", "ials")),
        # The optimum is flat inside these bounds and falls on both sides (docs/models.md): few trials are enough.
        Parameter(
            "regularization",
            "continuous",
            300.0,
            "lambda of ease; of ials a thirtieth of it",
            0.1,
            1_000_000,
            tuning=Tuning(100, 1000),
        ),
        Parameter(
            "side_weight",
            "continuous",
            1.0,
            "ease: weight of genres, years and tags",
            0,
            1000,
            tuning=Tuning(0.2, 2),
        ),
        Parameter("min_positives", "integer", 3, "items with fewer are scored by content alone", 1, 10_000),
        Parameter("max_items", "integer", 10_000, "above it auto takes ials: ease needs items^2 numbers", 1, 20_000),
        Parameter("num_factors", "integer", 64, "ials: length of an item's vector", 1, 512),
        Parameter("epochs", "integer", 15, "ials: iterations", 1, 1000),
        Parameter(
            "alpha", "continuous", 10.0, "ials: confidence of a positive; of no interaction it is 1", 0.01, 10_000
        ),
    ),
)
