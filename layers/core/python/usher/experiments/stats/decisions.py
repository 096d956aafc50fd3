"""One experiment: a minute's check and an epoch's close, each a verdict with its reason and its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from usher.experiments.stats import bounded_rewards, change_point, guardrails, sample_ratio
from usher.experiments.stats import state as states
from usher.experiments.stats.presets import GUARDRAIL_KINDS, Preset
from usher.experiments.stats.reasons import Fact, reason_of
from usher.experiments.stats.rules import DECISION_OF, FREEZES, Rule, epoch_rules, minute_rules
from usher.experiments.stats.state import Counts, State
from usher.experiments.stats.strata import MOST_USERS, CountError, Stratum, Uncounted, sift


@dataclass(frozen=True, slots=True)
class Minute:
    """Requests and bad answers of one minute, (champion, challenger) each; bad by kind of guardrail.

    minute: whole minutes since the experiment began.
    """

    minute: int
    requests: tuple[int, int]
    bad: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, why, and on which numbers. Weights are the challenger's share, 0 to 1.

    decision: continue, freeze, roll_back, retire, futile, promote or inconclusive.
    """

    decision: str
    reason: str
    weight_before: float
    weight: float
    numbers: Mapping[str, float]

    @property
    def ends(self) -> bool:
        """Whether the experiment is over."""
        return self.decision not in ("continue", "freeze")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state to keep, the verdict, and what was not counted with the reasons."""

    state: State
    verdict: Verdict
    uncounted: tuple[Uncounted, ...] = ()


def check_minute(state: State, minute: Minute | None, preset: Preset) -> Outcome:
    """Add a minute's requests to the guardrails and check them; None when there is no new minute.

    A minute that is malformed, late or came twice is not counted.
    """
    fault = _minute_fault(minute, state) if minute else None
    if minute and not fault:
        bad = np.array([[minute.bad.get(kind, (0, 0)) for kind in GUARDRAIL_KINDS]], dtype=np.float64)
        counts = guardrails.RequestCounts(np.array([minute.requests], dtype=np.float64), bad)
        state = states.check_minute(state, np.array([minute.minute], dtype=np.int64), counts, preset)
    rule = Rule(int(minute_rules(state, preset)[0]))
    before = float(state.weight[0])
    weight = before if rule in (Rule.CONTINUE, *FREEZES) else 0.0
    numbers = _guardrail_numbers(state, preset)
    uncounted = (Uncounted(f"minute {minute.minute}", fault),) if minute and fault else ()
    return _outcome(state, rule, (before, weight), _fact(state, numbers, preset), uncounted)


def close_epoch(
    state: State, strata: Iterable[Stratum], hours: float, preset: Preset, *, held: bool = False
) -> Outcome:
    """Count the strata that are due and decide. hours: since the start, at the close of the epoch. held: frozen.

    CountError when `hours` is negative or not finite; strata that are malformed, late or came twice are not counted.
    """
    if not (math.isfinite(hours) and hours >= 0):
        raise CountError(f"an epoch cannot close {hours!r} hours after its experiment began: check the clock")
    taken, uncounted = sift(strata, int(state.last_version[0]))
    state = states.begin_epoch(state, np.array([float(hours)]), preset)
    for stratum in taken:
        state = _count(state, stratum, preset)
    if taken and state.sample_ratio_broken[0]:
        reason = "the sample ratio is broken: counted, but no evidence until an operator thaws the experiment"
        uncounted.append(Uncounted("its evidence", reason))
    before = float(state.weight[0])
    state, verdicts = epoch_rules(state, preset, np.array([held]))
    numbers = _guardrail_numbers(state, preset) | _evidence_numbers(state, preset)
    numbers |= {name: float(value[0]) for name, value in verdicts._asdict().items() if name not in ("rule", "weight")}
    weights = (before, float(verdicts.weight[0]))
    return _outcome(state, Rule(int(verdicts.rule[0])), weights, _fact(state, numbers, preset), uncounted)


def _count(state: State, stratum: Stratum, preset: Preset) -> State:
    counts = Counts(
        stratum.exposed, stratum.converted, stratum.reward_sum, stratum.reward_squares, np.array([stratum.weight])
    )
    counted = states.count_stratum(state, preset, counts)
    return replace(counted, last_version=np.array([stratum.version], dtype=np.int64))


def _minute_fault(minute: Minute, state: State) -> str | None:
    if minute.minute <= state.last_minute[0]:
        return f"not after minute {int(state.last_minute[0])}, the last one checked: it came twice or too late"
    unknown = set(minute.bad) - set(GUARDRAIL_KINDS)
    if unknown:
        return f"unknown guardrails {', '.join(sorted(unknown))}: they are {', '.join(GUARDRAIL_KINDS)}"
    for role, requests in zip(("champion", "challenger"), minute.requests, strict=True):
        if not 0 <= requests <= MOST_USERS:
            return f"{role}: {requests} requests"
    for kind, pair in minute.bad.items():
        for role, bad, requests in zip(("champion", "challenger"), pair, minute.requests, strict=True):
            if not 0 <= bad <= requests:
                return f"{role}: {bad} {kind} in {requests} requests"
    return None


def _guardrail_numbers(state: State, preset: Preset) -> dict[str, float]:
    started = states.guard_started(state.last_minute, preset)
    return {
        "log_e_guardrail": float(guardrails.log_e_challenger(state.guardrails, started, state.alone)[0]),
        "log_e_champion": float(guardrails.log_e_champion(state.guardrails, started)[0]),
    }


def _evidence_numbers(state: State, preset: Preset) -> dict[str, float]:
    low, high, estimate = states.lift_interval(state)
    started = change_point.started(state.hours, preset.horizon_hours)
    return {
        "hours": float(state.hours[0]),
        "users_champion": float(state.exposed[0, 0]),
        "users_challenger": float(state.exposed[0, 1]),
        "conversions_champion": float(state.converted[0, 0]),
        "conversions_challenger": float(state.converted[0, 1]),
        "lift": float(estimate[0]),
        "lift_low": float(low[0]),
        "lift_high": float(high[0]),
        "information": float(state.information[0]),
        "log_e_sample_ratio": float(sample_ratio.log_e(state.sample_ratio, started)[0]),
        "log_e_reward_above": float(bounded_rewards.log_e(state.reward_above)[0]),
        "log_e_reward_below": float(bounded_rewards.log_e(state.reward_below)[0]),
        "weight_stage": float(state.stage[0]),
    }


def _fact(state: State, numbers: Mapping[str, float], preset: Preset) -> Fact:
    kind, relative = guardrails.worst_kind(state.guardrails)
    known = {name: value for name, value in numbers.items() if math.isfinite(value)}
    return Fact(known, preset, GUARDRAIL_KINDS[kind], relative)


def _outcome(
    state: State, rule: Rule, weights: tuple[float, float], fact: Fact, uncounted: Iterable[Uncounted]
) -> Outcome:
    """weights: the challenger's share before and from now on."""
    verdict = Verdict(DECISION_OF[rule], reason_of(rule, fact, weights), *weights, fact.numbers)
    return Outcome(replace(state, weight=np.array([weights[1]])), verdict, tuple(uncounted))
