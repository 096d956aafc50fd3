"""What a run trains and what it is expected to cost, computed before anything starts.

Expected seconds are the instance's start, which SageMaker bills from the image's download on, and the work by the row.
Prices come from prices.json (us-east-1, on demand); those of other regions differ by about ten per cent, which is
precise enough for an order of magnitude. An instance type without a price is refused: its budget cannot be checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from usher.algorithms import ALGORITHMS
from usher.algorithms.definition import Algorithm
from usher.errors import OverBudget
from usher.runs.prices import price_list

#: What a job is billed for before its program's first line.
START_SECONDS = 150.0
_PREPARE_ROWS_PER_SECOND = 50_000.0
_EVALUATE_ROWS_PER_SECOND = 20_000.0

#: An algorithm is tuned again once the data has grown by this factor since the last tuning.
TUNE_AGAIN_AT_GROWTH = 1.5

#: Below this many ratings, and fewer ratings than events, algorithms that learn from ratings alone are left out.
#: Measured on users of MovieLens, four draws: with 300, 1,000 and 3,000 ratings fm predicts no better than the averages
#: of users and items (RMSE 0.9225 against 0.9211 at 3,000); with 10,000 it does (0.9260 against 0.9375).
RATINGS_MIN = 3000


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Rows of a run's snapshots, as the tables count them: before equal rows collapse."""

    ratings: int
    events: int = 0

    @property
    def total(self) -> int:
        return self.ratings + self.events

    def of(self, algorithm: Algorithm) -> int:
        """The rows that an algorithm learns from."""
        return self.ratings if algorithm.ratings_only else self.total

    def left_out(self) -> Mapping[str, str]:
        """Algorithm → why this run does not train it."""
        reason = self._too_few_ratings()
        return {algorithm.name: reason for algorithm in ALGORITHMS.values() if algorithm.ratings_only and reason}

    def algorithms(self) -> tuple[Algorithm, ...]:
        """The algorithms that this run trains."""
        left_out = self.left_out()
        return tuple(algorithm for algorithm in ALGORITHMS.values() if algorithm.name not in left_out)

    def _too_few_ratings(self) -> str:
        if not self.ratings:
            return "there are no ratings to predict ratings from"
        if self.ratings < min(RATINGS_MIN, self.events):
            return (
                f"{self.ratings:,} ratings beside {self.events:,} events are too few to predict ratings from "
                f"({RATINGS_MIN:,} are needed)"
            )
        return ""


@dataclass(frozen=True, slots=True)
class TuningResult:
    """The best of the last tuning. rows: all ratings and events then. hyperparameters: by algorithm, as strings."""

    rows: int
    hyperparameters: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Instance types, and how many trials a tuning may take."""

    processing: str
    training: str
    trials: int


@dataclass(frozen=True, slots=True)
class JobCost:
    """One kind of job in the estimate. seconds: of all its jobs together."""

    name: str
    instance_type: str
    count: int
    seconds: float
    usd: float


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a run is expected to cost, by kind of job."""

    jobs: tuple[JobCost, ...]

    @property
    def usd(self) -> float:
        return round(sum(job.usd for job in self.jobs), 4)

    def summary(self) -> str:
        """One line: each kind of job with its number, instance type, minutes and cost."""
        return "; ".join(
            f"{job.name} {job.count} x {job.instance_type} {job.seconds / 60:.0f} min {job.usd:.2f} USD"
            for job in self.jobs
        )


def is_tuned(algorithm: Algorithm, rows: int, tuning: TuningResult | None) -> bool:
    """Whether this run tunes an algorithm: for the first time, with other ranges, or after the data has grown."""
    if not algorithm.tuned:
        return False
    if tuning is None or set(tuning.hyperparameters.get(algorithm.name, {})) != algorithm.tuned_names:
        return True
    return rows >= TUNE_AGAIN_AT_GROWTH * tuning.rows


def hyperparameters(algorithm: Algorithm, tuning: TuningResult | None) -> dict[str, str]:
    """The hyperparameters of a run that does not tune: the last tuning's best, else the defaults."""
    found = dict(tuning.hyperparameters.get(algorithm.name, {})) if tuning else {}
    return {**algorithm.defaults, **{name: value for name, value in found.items() if name in algorithm.tuned_names}}


def estimate(rows: TrainingRows, tuned: Sequence[Algorithm], settings: JobSettings) -> CostEstimate:
    """The expected cost of a run over `rows`; NoPrice for an instance type that the price list lacks."""
    costs = [_cost("prepare", settings.processing, 1, rows.total / _PREPARE_ROWS_PER_SECOND)]
    for algorithm in rows.algorithms():
        seconds = rows.of(algorithm) / algorithm.rows_per_second
        if algorithm in tuned:
            costs.append(_cost(f"tune {algorithm.name}", settings.training, settings.trials, seconds))
        costs.append(_cost(f"train {algorithm.name}", settings.training, 1, seconds))
    costs.append(_cost("evaluate", settings.processing, 1, rows.total / _EVALUATE_ROWS_PER_SECOND))
    return CostEstimate(tuple(costs))


def _cost(name: str, instance_type: str, count: int, work_seconds: float) -> JobCost:
    price = price_list().hour("job", instance_type)
    seconds = count * (START_SECONDS + work_seconds)
    return JobCost(name, instance_type, count, round(seconds, 1), round(seconds / 3600 * price, 4))


def check_budget(run_id: str, expected: CostEstimate, budget_usd: float) -> None:
    """OverBudget, with the numbers, when a run is expected to cost more than the deployment allows."""
    if expected.usd > budget_usd:
        raise OverBudget(
            f"run {run_id} would cost {expected.usd:.2f} USD, over the budget of {budget_usd:.2f} USD "
            f"({expected.summary()}): raise BudgetUsd, or take fewer trials or smaller instances"
        )


def jobs(rows: TrainingRows, tuning: TuningResult | None) -> list[dict[str, Any]]:
    """The items of the workflow's Map: one for each algorithm, with references and settings only."""
    return [
        {
            "name": algorithm.name,
            "tune": is_tuned(algorithm, rows.total, tuning),
            "hyperparameters": hyperparameters(algorithm, tuning),
            "fixed": dict(algorithm.fixed),
            "objective": {"Type": algorithm.objective_type, "MetricName": algorithm.objective_metric},
            "ranges": algorithm.ranges_request(),
        }
        for algorithm in rows.algorithms()
    ]
