"""Hyperparameter search: Optuna's samplers behind SageMaker's strategies and ranges, and the early-stopping rule."""

from __future__ import annotations

import math
import statistics
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.sagemaker.errors import invalid, unsupported

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

#: Finished trials that the rule needs to compare with.
TRIALS_MIN = 3

Tuned = dict[str, str]

#: Attempts to get a proposal that was not tried before.
_ASK_MAX = 20
#: Trials at random before the Bayesian strategy has something to learn from; SageMaker does not document its number.
RANDOM_TRIALS = 3


def should_stop_early(series: Sequence[float], finished: Sequence[Sequence[float]], *, maximize: bool) -> bool:
    """Whether a running trial, having printed `series`, is worse than the median of the finished trials' running means.

    A trial at or past the last epoch of every other is left alone: it is about to write its model.
    """
    epoch = len(series)
    if epoch == 0:
        return False
    others = [statistics.fmean(other[:epoch]) for other in finished if len(other) > epoch]
    if len(others) < TRIALS_MIN:
        return False
    median = statistics.median(others)
    return series[-1] < median if maximize else series[-1] > median


@dataclass(frozen=True)
class Range:
    """One tuned hyperparameter: an interval (`low` to `high`, integers or not) or `choices`.

    scale: Auto, Linear or Logarithmic; Auto is linear here.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    integer: bool = False
    scale: str = "Auto"
    choices: tuple[str, ...] | None = None

    def distribution(self) -> BaseDistribution:
        """The range as one of Optuna's distributions."""
        from optuna.distributions import (  # noqa: PLC0415 - a second of imports, only for tuning
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.choices is not None:
            return CategoricalDistribution(self.choices)
        log = self.scale == "Logarithmic"
        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=log)
        return FloatDistribution(self.low, self.high, log=log)

    def text(self, value: Any) -> str:
        """A sampled value as the hyperparameter's string."""
        if self.choices is not None or self.integer:
            return str(value)
        return repr(min(max(float(value), self.low), self.high))


def ranges_of(request: dict[str, Any]) -> list[Range]:
    """ParameterRanges, read; Refused when one of them is impossible."""
    if request.get("AutoParameters"):
        raise unsupported("AutoParameters")
    found = [
        _interval(item, integer)
        for kind, integer in (("IntegerParameterRanges", True), ("ContinuousParameterRanges", False))
        for item in request.get(kind) or []
    ]
    categorical = request.get("CategoricalParameterRanges") or []
    return found + [Range(item["Name"], choices=tuple(dict.fromkeys(item["Values"]))) for item in categorical]


def _interval(item: dict[str, str], integer: bool) -> Range:
    name, scale = item["Name"], item.get("ScalingType", "Auto")
    try:
        low, high = (float(int(item[field]) if integer else float(item[field])) for field in ("MinValue", "MaxValue"))
    except ValueError:
        raise invalid(f"The range of {name} is not numeric: {item['MinValue']} to {item['MaxValue']}.") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise invalid(f"The range of {name} must have MinValue < MaxValue, and is {low:g} to {high:g}.")
    if scale == "Logarithmic" and low <= 0:
        raise invalid(f"The range of {name} must lie above 0 for Logarithmic scaling.")
    if scale == "ReverseLogarithmic":
        raise unsupported("ReverseLogarithmic scaling")
    return Range(name, low, high, integer, scale)


@dataclass
class Proposal:
    """Hyperparameters to try. trial: Optuna's handle."""

    tuned: Tuned
    trial: optuna.Trial | None = None


class Search:
    """Random or Bayesian search by Optuna; the same seed and the same results give the same proposals."""

    def __init__(self, strategy: str, ranges: Iterable[Range], *, maximize: bool, seed: int) -> None:
        import optuna  # noqa: PLC0415 - a second of imports, only for tuning

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ranges = list(ranges)
        self._distributions = {item.name: item.distribution() for item in self._ranges}
        sampler: optuna.samplers.BaseSampler = (
            optuna.samplers.RandomSampler(seed=seed)
            if strategy == "Random"
            else optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS, constant_liar=True)
        )
        self._study = optuna.create_study(sampler=sampler, direction="maximize" if maximize else "minimize")
        self._tried: set[tuple[str, ...]] = set()

    def propose(self) -> Proposal:
        """New hyperparameters; repeated ones only when the space seems exhausted."""
        for _ in range(_ASK_MAX):
            trial = self._study.ask(self._distributions)
            tuned = {item.name: item.text(trial.params[item.name]) for item in self._ranges}
            if (key := tuple(tuned.values())) not in self._tried:
                self._tried.add(key)
                return Proposal(tuned, trial)
            self.learn(Proposal(tuned, trial), None)
        return Proposal(tuned, self._study.ask(self._distributions))

    def learn(self, proposal: Proposal, value: float | None) -> None:
        """Report the objective of a proposal; None when it has none."""
        import optuna  # noqa: PLC0415

        if proposal.trial is not None:
            state = optuna.trial.TrialState.FAIL if value is None else None
            self._study.tell(proposal.trial, value, state=state)


def seed_of(name: str, given: int | None) -> int:
    """RandomSeed, or one that depends on the job's name alone, so that runs are repeatable."""
    return zlib.crc32(name.encode()) if given is None else given
