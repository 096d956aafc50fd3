"""What experiments remember between two ticks, for R experiments at once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from usher.experiments.stats import bounded_rewards, change_point, guardrails, sample_ratio
from usher.experiments.stats.evidence import THETA, confidence_sequence, lift_of, stratum_evidence
from usher.experiments.stats.guardrails import ABSOLUTE_POINTS, RELATIVE, Guardrails, RequestCounts
from usher.experiments.stats.numerics import Bools, Floats, Ints
from usher.experiments.stats.presets import GUARDRAIL_KINDS, Preset


@dataclass(frozen=True, slots=True)
class State:
    """Arrays with one row per experiment (R). Functions return a new state and leave the old one as it is."""

    hours: Floats  #: hours since the start at the last close of an epoch
    last_version: Ints  #: the router version of the last stratum counted
    last_minute: Ints  #: minutes since the start at the last check
    weight: Floats  #: the challenger's share, 0 to 1
    stage: Ints
    stage_users: Ints  #: the challenger's users counted in this stage
    exposed: Ints  #: (R, 2) users by role
    converted: Ints  #: (R, 2)
    log_likelihood: Floats  #: (R, 45) over THETA
    score: Floats  #: U
    information: Floats  #: V
    reward_above: Floats  #: (R, 12)
    reward_below: Floats  #: (R, 12)
    reward_score: Floats
    reward_information: Floats
    look_hours: Floats  #: the hour of the last look that was due
    look_information: Floats  #: (R, looks), NaN where no look was made
    look_bound: Floats  #: (R, looks), of the score
    sample_ratio: Floats  #: (R, 14)
    sample_ratio_broken: Bools  #: stays until it is explained
    guard_relative: Floats  #: (R, kinds, 7)
    guard_absolute: Floats  #: (R, kinds, 5)
    guard_champion: Floats  #: (R, kinds, 5)

    def rows(self, where: Bools) -> State:
        """The experiments for which `where` (R,) is true."""
        return State(**{item.name: getattr(self, item.name)[where] for item in fields(self)})

    @property
    def alone(self) -> Bools:
        """Whether one role serves all users, (R,): after a promotion or a roll back."""
        return (self.weight >= 1.0) | (self.weight <= 0.0)

    @property
    def guardrails(self) -> Guardrails:
        return Guardrails(self.guard_relative, self.guard_absolute, self.guard_champion)


def new_state(preset: Preset, experiments: int = 1) -> State:
    """Experiments that begin now."""
    size, looks = experiments, len(preset.looks)
    rails = Guardrails.new(size, len(GUARDRAIL_KINDS))
    return State(
        hours=np.zeros(size),
        last_version=np.full(size, -1, dtype=np.int64),
        last_minute=np.full(size, -1, dtype=np.int64),
        weight=np.full(size, preset.first_share),
        stage=np.zeros(size, dtype=np.int64),
        stage_users=np.zeros(size, dtype=np.int64),
        exposed=np.zeros((size, 2), dtype=np.int64),
        converted=np.zeros((size, 2), dtype=np.int64),
        log_likelihood=np.zeros((size, len(THETA))),
        score=np.zeros(size),
        information=np.zeros(size),
        reward_above=np.zeros((size, len(bounded_rewards.LAMBDA))),
        reward_below=np.zeros((size, len(bounded_rewards.LAMBDA))),
        reward_score=np.zeros(size),
        reward_information=np.zeros(size),
        look_hours=np.zeros(size),
        look_information=np.full((size, looks), np.nan),
        look_bound=np.full((size, looks), np.nan),
        sample_ratio=np.full((size, len(sample_ratio.ETA)), change_point.INITIAL),
        sample_ratio_broken=np.zeros(size, dtype=np.bool_),
        guard_relative=rails.relative,
        guard_absolute=rails.absolute,
        guard_champion=rails.champion,
    )


#: Fields whose trailing axes do not depend on the preset, and those that do; the codec checks both.
SHAPES: dict[str, tuple[int, ...]] = {
    "exposed": (2,),
    "converted": (2,),
    "log_likelihood": (len(THETA),),
    "reward_above": (len(bounded_rewards.LAMBDA),),
    "reward_below": (len(bounded_rewards.LAMBDA),),
    "sample_ratio": (len(sample_ratio.ETA),),
    "guard_relative": (len(GUARDRAIL_KINDS), len(RELATIVE)),
    "guard_absolute": (len(GUARDRAIL_KINDS), ABSOLUTE_POINTS),
    "guard_champion": (len(GUARDRAIL_KINDS), ABSOLUTE_POINTS),
}


def begin_epoch(state: State, hours: Floats, preset: Preset) -> State:
    """Move the calendar to `hours` (R,) since the start; a clock that went back stands still."""
    hours = np.maximum(hours, state.hours)
    started = change_point.Started(
        *(change_point.started(value, preset.horizon_hours) for value in (state.hours, hours))
    )
    return replace(state, hours=hours, sample_ratio=change_point.advance(state.sample_ratio, np.zeros(1), started))


def count_stratum(state: State, preset: Preset, counts: Counts) -> State:
    """Add one stratum per experiment. A sample whose ratio is broken keeps the evidence from before the break."""
    exposed = counts.exposed.astype(np.float64)
    ratio = state.sample_ratio + sample_ratio.increment(exposed, counts.weight)
    started = change_point.started(state.hours, preset.horizon_hours)
    broken = state.sample_ratio_broken | (sample_ratio.log_e(ratio, started) >= -np.log(preset.alpha_sample_ratio))
    kept = ~broken
    gained = stratum_evidence(np.where(kept[:, None], counts.exposed, 0), np.where(kept[:, None], counts.converted, 0))
    reward = bounded_rewards.reward_evidence(
        exposed, counts.reward_sum, counts.reward_squares, np.where(kept, counts.weight, 0.0)
    )
    above, below = (np.where(kept[:, None], part, 0.0) for part in (reward.above, reward.below))
    return replace(
        state,
        sample_ratio=ratio,
        sample_ratio_broken=broken,
        stage_users=state.stage_users + counts.exposed[:, 1],
        exposed=state.exposed + counts.exposed,
        converted=state.converted + counts.converted,
        log_likelihood=state.log_likelihood + gained.log_likelihood,
        score=state.score + gained.score,
        information=state.information + gained.information,
        reward_above=state.reward_above + above,
        reward_below=state.reward_below + below,
        reward_score=state.reward_score + np.where(kept, reward.score, 0.0),
        reward_information=state.reward_information + reward.information,
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """One stratum per experiment: exposed and converted users (R, 2), rewards (R, 2), designed weight (R,)."""

    exposed: Ints
    converted: Ints
    reward_sum: Floats
    reward_squares: Floats
    weight: Floats


def check_minute(state: State, minute: Ints, counts: RequestCounts, preset: Preset) -> State:
    """Add one minute's requests to the guardrails. minute: since the start, (R,)."""
    limits = np.array([preset.guardrail_limits[kind] for kind in GUARDRAIL_KINDS])
    started = change_point.Started(guard_started(state.last_minute, preset), guard_started(minute, preset))
    rails = guardrails.advance(state.guardrails, counts, limits, started)
    return replace(
        state,
        last_minute=minute,
        guard_relative=rails.relative,
        guard_absolute=rails.absolute,
        guard_champion=rails.champion,
    )


def guard_started(minute: Ints, preset: Preset) -> Floats:
    """The share of the guardrails' evidence that has started by a minute since the start."""
    return change_point.started(np.maximum(minute, 0) / 60.0, preset.horizon_hours)


def explain_sample_ratio(state: State) -> State:
    """After an operator has found why the ratio broke: test it anew, and keep the evidence from before the break."""
    fresh = np.full_like(state.sample_ratio, change_point.INITIAL)
    broken = state.sample_ratio_broken
    return replace(
        state,
        sample_ratio=np.where(broken[:, None], fresh, state.sample_ratio),
        sample_ratio_broken=np.zeros_like(broken),
    )


def lift_interval(state: State) -> tuple[Floats, Floats, Floats]:
    """Lower and upper end of the 95 % confidence sequence of the relative lift, and the estimate, each (R,).

    The estimate is the one-step maximum U/V; after a promotion it is too high by the luck that helped to promote.
    """
    rate = state.converted[:, 0] / np.maximum(state.exposed[:, 0], 1)
    low, high = confidence_sequence(state.log_likelihood)
    estimate = state.score / np.maximum(state.information, 1e-12)
    return lift_of(low, rate), lift_of(high, rate), lift_of(estimate, rate)
