"""`trending`: an algorithm that Usher does not have, as one module; test_added_algorithm.py registers it.

Lambda functions import the module without numpy, so its functions import numpy themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from usher.algorithms.definition import Algorithm, Parameter, Tuning

if TYPE_CHECKING:
    from usher_models.artifacts import Artifact
    from usher_models.ratings import Items, Ratings
    from usher_scorer.profiles import Float32, Int64, Profiles

DAY_US = 86_400_000_000

ALGORITHM = Algorithm(
    name="trending",
    summary="orders the catalogue by positives, each worth half after half_life_days",
    role="ranking",
    fit=f"{__name__}:fit",
    validate=f"{__name__}:validate",
    reader=f"{__name__}:Trending",
    objective="ndcg@10",
    objective_type="Maximize",
    rows_per_second=100_000.0,
    parameters=(
        Parameter("half_life_days", "continuous", 30.0, "days", 0.1, 10_000, tuning=Tuning(1, 365)),
        Parameter("minimum", "integer", 0, "items with fewer positives score 0", 0, 1000),
    ),
)


def fit(ratings: Ratings, items: Items, values: Mapping[str, Any]) -> Artifact:
    """Scores (items,) of the positives, decayed to the time of the last row."""
    import numpy as np  # noqa: PLC0415

    from usher_models.artifacts import Artifact  # noqa: PLC0415

    rows = ratings.take(ratings.positive)
    days = (ratings.time_us.max() - rows.time_us) / DAY_US
    scores = np.bincount(rows.item, 0.5 ** (days / values["half_life_days"]), len(items))
    scores[np.bincount(rows.item, minlength=len(items)) < values["minimum"]] = 0
    return Artifact({"half_life_days": values["half_life_days"]}, {"scores": scores.astype(np.float32)})


def validate(artifact: Artifact, train: Ratings, validation: Ratings, items: Items) -> Mapping[str, float]:
    """NDCG and recall of the same order for every user."""
    import numpy as np  # noqa: PLC0415

    from usher_models.evaluation.metrics import ranking_metrics  # noqa: PLC0415
    from usher_models.evaluation.window import split_window  # noqa: PLC0415

    window = split_window(train, validation)
    assert len(items) == len(artifact.arrays["scores"])
    return ranking_metrics(np.tile(artifact.arrays["scores"], (len(window.users), 1)), window)


class Trending:
    """The ranker that the scorer reads from the artifact."""

    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Any], items: int) -> None:
        assert settings["half_life_days"] > 0
        self._scores = arrays["scores"]
        self._items = items

    @property
    def covered(self) -> Int64:
        import numpy as np  # noqa: PLC0415

        return np.arange(self._items, dtype=np.int64)

    def scores(self, profiles: Profiles) -> Float32:
        import numpy as np  # noqa: PLC0415

        tiled: Float32 = np.tile(self._scores, (len(profiles), 1))
        return tiled

    def contributions(self, profile: Profiles, item: int) -> Float32:
        import numpy as np  # noqa: PLC0415

        return np.zeros(len(profile.items), np.float32) * item
