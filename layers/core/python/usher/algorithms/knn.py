"""`knn`: nearest neighbours of items, by the users who liked them.

Hyperparameters have the names of SageMaker's built-in algorithm.
"""

from __future__ import annotations

from usher.algorithms.definition import Algorithm, Parameter, Tuning

ALGORITHM = Algorithm(
    name="knn",
    summary="finds similar items: cosine or inner product of the columns of positives",
    role="similar_items",
    fit="usher_models.models.knn:fit",
    validate="usher_models.models.knn:validate",
    reader="usher_scorer.components:read_neighbours",
    objective="ndcg@10",
    objective_type="Maximize",
    rows_per_second=20_000.0,
    parameters=(
        Parameter(
            "k",
            "integer",
            100,
            "neighbours kept of each item; at most the number of other items",
            1,
            1024,
            tuning=Tuning(20, 400),
        ),
        Parameter("sample_size", "integer", 1_000_000, "users in the random sample", 1, 100_000_000),
        Parameter("index_metric", "categorical", "COSINE", "the similarity", choices=("COSINE", "INNER_PRODUCT")),
        Parameter(
            "shrinkage",
            "continuous",
            10.0,
            "added to the denominator of a pair's similarity: pairs with little support sink",
            0,
            10_000,
            tuning=Tuning(1, 200),
        ),
    ),
)
