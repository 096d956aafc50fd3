"""What a run will do and what it will cost, said before anything starts; over budget, nothing does.

Expected seconds are the machine's start, billed by SageMaker from the image's download on, and the work by the row.
Prices are on-demand USD an hour in us-east-1; other regions differ by some ten per cent, the order of magnitude does
not. An instance type without a price is refused: a budget that cannot be checked is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from usher.algorithms.definition import Algorithm
from usher.errors import NoPrice, OverBudget
from usher.runs.training_rows import Rows

#: USD an hour of SageMaker's processing and training.
PRICES_USD_PER_HOUR: Mapping[str, float] = MappingProxyType(
    {
        "ml.t3.medium": 0.05,
        "ml.t3.large": 0.10,
        "ml.t3.xlarge": 0.20,
        "ml.t3.2xlarge": 0.399,
        "ml.m5.large": 0.115,
        "ml.m5.xlarge": 0.23,
        "ml.m5.2xlarge": 0.461,
        "ml.m5.4xlarge": 0.922,
        "ml.c5.xlarge": 0.204,
        "ml.c5.2xlarge": 0.408,
        "ml.c5.4xlarge": 0.816,
        "ml.r5.xlarge": 0.302,
        "ml.r5.2xlarge": 0.605,
    }
)

#: What a job is billed before its program's first line.
START_SECONDS = 150.0
_PREPARE_ROWS_PER_SECOND = 50_000.0
_EVALUATE_ROWS_PER_SECOND = 20_000.0

#: Tuned anew once the data has grown by this factor since the last tuning.
TUNE_AGAIN_AT_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class Winner:
    """What the last tuning found. rows: all ratings and events then. hyperparameters: by algorithm, as text."""

    rows: int
    hyperparameters: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Machines:
    """Instance types, and how many trials a tuning may take, how many at once."""

    processing: str
    training: str
    trials: int
    parallel: int = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of job in the estimate. seconds: of all its jobs together."""

    name: str
    instance_type: str
    jobs: int
    seconds: float
    usd: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is expected to cost, step by step."""

    steps: tuple[Step, ...]

    @property
    def usd(self) -> float:
        return round(sum(step.usd for step in self.steps), 4)

    def in_words(self) -> str:
        return "; ".join(
            f"{step.name} {step.jobs} x {step.instance_type} {step.seconds / 60:.0f} min {step.usd:.2f} USD"
            for step in self.steps
        )


def is_tuned(algorithm: Algorithm, rows: int, winner: Winner | None) -> bool:
    """Whether an algorithm is tuned in this run: never was, its ranges are new, or the data has grown enough."""
    if not algorithm.tuned:
        return False
    if winner is None or set(winner.hyperparameters.get(algorithm.name, {})) != algorithm.tuned_names:
        return True
    return rows >= TUNE_AGAIN_AT_GROWTH * winner.rows


def hyperparameters(algorithm: Algorithm, winner: Winner | None) -> dict[str, str]:
    """What Train starts from when nothing is tuned: the last winner's, else the defaults."""
    found = dict(winner.hyperparameters.get(algorithm.name, {})) if winner else {}
    return {**algorithm.defaults, **{name: value for name, value in found.items() if name in algorithm.tuned_names}}


def estimate(rows: Rows, tuned: Sequence[Algorithm], machines: Machines) -> Estimate:
    """The expected cost of a run over `rows`; NoPrice for an instance type that the table lacks."""
    steps = [_step("prepare", machines.processing, 1, rows.total / _PREPARE_ROWS_PER_SECOND)]
    for algorithm in rows.algorithms():
        seconds = rows.of(algorithm) / algorithm.rows_per_second
        if algorithm in tuned:
            steps.append(_step(f"tune {algorithm.name}", machines.training, machines.trials, seconds))
        steps.append(_step(f"train {algorithm.name}", machines.training, 1, seconds))
    steps.append(_step("evaluate", machines.processing, 1, rows.total / _EVALUATE_ROWS_PER_SECOND))
    return Estimate(tuple(steps))


def _step(name: str, instance_type: str, jobs: int, work_seconds: float) -> Step:
    try:
        price = PRICES_USD_PER_HOUR[instance_type]
    except KeyError:
        raise NoPrice(
            f"no price is known for {instance_type!r}, so the budget cannot be checked: "
            f"choose one of {', '.join(PRICES_USD_PER_HOUR)}"
        ) from None
    seconds = jobs * (START_SECONDS + work_seconds)
    return Step(name, instance_type, jobs, round(seconds, 1), round(seconds / 3600 * price, 4))


def check_budget(run_id: str, expected: Estimate, budget_usd: float) -> None:
    """OverBudget, with the numbers, when a run is expected to cost more than the deployment allows."""
    if expected.usd > budget_usd:
        raise OverBudget(
            f"run {run_id} would cost {expected.usd:.2f} USD, over the budget of {budget_usd:.2f} USD "
            f"({expected.in_words()}): raise BudgetUsd, or take fewer trials or smaller instances"
        )


def jobs(rows: Rows, winner: Winner | None) -> list[dict[str, Any]]:
    """What the workflow's Map goes over: one entry an algorithm, references and settings only."""
    return [
        {
            "name": algorithm.name,
            "tune": is_tuned(algorithm, rows.total, winner),
            "hyperparameters": hyperparameters(algorithm, winner),
            "fixed": dict(algorithm.fixed),
            "objective": {"Type": algorithm.objective_type, "MetricName": algorithm.objective_metric},
            "ranges": algorithm.ranges_request(),
        }
        for algorithm in rows.algorithms()
    ]
