"""The algorithms of a run as SageMaker's requests need them: what is tuned, between which bounds, by which metric.

The container checks each value again; a test holds these ranges to what it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Range:
    """One tuned hyperparameter, with inclusive bounds. scaling: how SageMaker draws from them."""

    name: str
    kind: Literal["Integer", "Continuous"]
    minimum: float
    maximum: float
    scaling: Literal["Linear", "Logarithmic"] = "Linear"

    def request(self) -> dict[str, str]:
        """The range as CreateHyperParameterTuningJob takes it: text."""
        return {
            "Name": self.name,
            "MinValue": f"{self.minimum:g}",
            "MaxValue": f"{self.maximum:g}",
            "ScalingType": self.scaling,
        }


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm.

    defaults:        hyperparameters before any tuning, as text.
    ranges:          what is tuned; empty for an algorithm that is not.
    fixed:           hyperparameters that are the same in every job.
    rows_per_second: rows that a job works through in a second on one ml.m5.xlarge.
    ratings_only:    whether it learns from ratings alone; the others learn from what people did, too.
    """

    name: str
    objective_type: Literal["Maximize", "Minimize"]
    objective_metric: str
    rows_per_second: float
    ranges: tuple[Range, ...]
    defaults: Mapping[str, str]
    fixed: Mapping[str, str] = field(default_factory=dict)
    ratings_only: bool = False

    @property
    def tuned_names(self) -> set[str]:
        return {one.name for one in self.ranges}

    def ranges_request(self) -> dict[str, Any]:
        """ParameterRanges of a tuning job."""
        return {
            "IntegerParameterRanges": [one.request() for one in self.ranges if one.kind == "Integer"],
            "ContinuousParameterRanges": [one.request() for one in self.ranges if one.kind == "Continuous"],
            "CategoricalParameterRanges": [],
        }


ALGORITHMS: tuple[Algorithm, ...] = (
    Algorithm(
        "fm",
        "Minimize",
        "validation:rmse",
        5_000.0,
        (
            Range("num_factors", "Integer", 8, 48, "Logarithmic"),
            Range("init_sigma", "Continuous", 0.05, 1, "Logarithmic"),
        ),
        {"num_factors": "16", "init_sigma": "0.3"},
        {"algorithm": "fm", "seed": "0"},
        ratings_only=True,
    ),
    Algorithm(
        "knn",
        "Maximize",
        "validation:ndcg@10",
        20_000.0,
        (
            Range("k", "Integer", 20, 400, "Logarithmic"),
            Range("shrinkage", "Continuous", 1, 200, "Logarithmic"),
        ),
        {"k": "100", "shrinkage": "10"},
        {"algorithm": "knn", "seed": "0"},
    ),
    Algorithm(
        "ranker",
        "Maximize",
        "validation:ndcg@10",
        5_000.0,
        (
            # The optimum is flat in here and falls on both sides (docs/models.md): few trials are enough.
            Range("regularization", "Continuous", 100, 1000, "Logarithmic"),
            Range("side_weight", "Continuous", 0.2, 2, "Logarithmic"),
        ),
        {"regularization": "300", "side_weight": "1"},
        {"algorithm": "ranker", "seed": "0"},
    ),
)
