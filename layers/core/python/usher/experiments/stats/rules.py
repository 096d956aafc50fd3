"""The rules in their order, for many experiments at once: the simulation and the Lambda run this same code.

Also the challenger's share: stages that open as its users are counted, a cap, and less when it falls behind. The share
may react to the challenger being behind, never to its being ahead: the looks spend their error rate by the calendar,
and information that flows faster while the score is high would void it (docs/shifting.md; a test holds it).
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from usher.experiments.stats import boundary, bounded_rewards, guardrails
from usher.experiments.stats.evidence import log_e_above, log_e_below
from usher.experiments.stats.numerics import Bools, Floats, Ints, normal_cdf
from usher.experiments.stats.presets import Preset
from usher.experiments.stats.state import State, guard_started


class Rule(IntEnum):
    """The rule that decided: the first that applies, in this order."""

    CONTINUE = 0
    GUARDRAIL = 1
    CHAMPION_BROKEN = 2
    SAMPLE_RATIO = 3
    HELD = 4
    HARM = 5
    ANYTIME = 6
    LOOK = 7
    HORIZON = 8
    EXCLUDED = 9
    HOPELESS = 10


DECISION_OF = {
    Rule.CONTINUE: "continue",
    Rule.GUARDRAIL: "roll_back",
    Rule.CHAMPION_BROKEN: "freeze",
    Rule.SAMPLE_RATIO: "freeze",
    Rule.HELD: "freeze",
    Rule.HARM: "retire",
    Rule.ANYTIME: "promote",
    Rule.LOOK: "promote",
    Rule.HORIZON: "inconclusive",
    Rule.EXCLUDED: "futile",
    Rule.HOPELESS: "futile",
}
PROMOTES = (Rule.ANYTIME, Rule.LOOK)
FREEZES = (Rule.CHAMPION_BROKEN, Rule.SAMPLE_RATIO, Rule.HELD)


class Verdicts(NamedTuple):
    """One row per experiment: the rule that decided, the challenger's share from now on, and the numbers behind it."""

    rule: Ints
    weight: Floats
    better: Floats  #: P(the challenger is better)
    z: Floats  #: the standardised score, past the margin
    bound: Floats  #: of z at a look made now; inf when there was none
    power: Floats  #: conditional power at a futility look, else NaN
    log_e_promote: Floats
    log_e_harm: Floats
    log_e_excluded: Floats


class _Reading(NamedTuple):
    """Score past the margin, information, and log e-values, for the outcome that decides."""

    score: Floats
    information: Floats
    promote: Floats
    harm: Floats
    excluded: Floats


def minute_rules(state: State, preset: Preset) -> Ints:
    """GUARDRAIL, CHAMPION_BROKEN or CONTINUE, (R,): what is checked each minute."""
    started = guard_started(state.last_minute, preset)
    threshold = -math.log(preset.alpha_guardrail)
    challenger = guardrails.log_e_challenger(state.guardrails, started, state.alone) >= threshold
    champion = guardrails.log_e_champion(state.guardrails, started) >= threshold
    return np.where(challenger, int(Rule.GUARDRAIL), np.where(champion, int(Rule.CHAMPION_BROKEN), int(Rule.CONTINUE)))


def epoch_rules(state: State, preset: Preset, held: Bools) -> tuple[State, Verdicts]:
    """Decide at the close of an epoch, after its strata were counted. held: (R,), frozen by an operator.

    The returned state holds the next share, the stage, and the looks that were made.
    """
    reading = _read(state, preset)
    rule = minute_rules(state, preset)
    rule = np.where((rule == Rule.CONTINUE) & state.sample_ratio_broken, int(Rule.SAMPLE_RATIO), rule)
    rule = np.where((rule == Rule.CONTINUE) & held, int(Rule.HELD), rule)
    free = rule == Rule.CONTINUE
    state, bound, power = _look(state, reading, preset, free)
    ended = state.hours >= preset.horizon_hours
    rule = np.where(free, _outcome_rules(state, reading, preset, bound, power), rule)
    # An experiment ends, also a frozen one: undecided, the champion stays.
    rule = np.where(np.isin(rule, FREEZES) & ended, int(Rule.HORIZON), rule)
    better = probability_better(reading.score, reading.information, preset.prior_deviation)
    state, weight = _reweigh(state, rule, better, preset)
    z = reading.score / np.sqrt(np.maximum(reading.information, 1e-12))
    bound = bound / np.sqrt(np.maximum(reading.information, 1e-12))
    return state, Verdicts(rule, weight, better, z, bound, power, reading.promote, reading.harm, reading.excluded)


def _read(state: State, preset: Preset) -> _Reading:
    if preset.outcome == "reward":
        never = np.full(len(state.hours), -np.inf)
        up, down = bounded_rewards.log_e(state.reward_above), bounded_rewards.log_e(state.reward_below)
        return _Reading(state.reward_score, state.reward_information, up, down, never)
    return _Reading(
        state.score - preset.margin_theta * state.information,
        state.information,
        log_e_above(state.log_likelihood, preset.promotion_prior, preset.margin_theta),
        log_e_below(state.log_likelihood, preset.harm_prior, preset.margin_theta),
        log_e_below(state.log_likelihood, preset.promotion_prior, preset.margin_theta + preset.excluded_theta),
    )


def _outcome_rules(state: State, reading: _Reading, preset: Preset, bound: Floats, power: Floats) -> Ints:
    """The rules from HARM on, in their order, as if nothing froze the experiment."""
    reward = preset.outcome == "reward"
    alpha_promote = preset.alpha_anytime + (preset.alpha_looks if reward else 0.0)
    ripe = state.hours >= preset.minimum_hours
    conditions = {
        Rule.HARM: reading.harm >= -math.log(preset.alpha_harm),
        Rule.ANYTIME: ripe & (reading.promote >= -math.log(alpha_promote)),
        Rule.LOOK: ripe & (reading.score >= bound),
        Rule.HORIZON: state.hours >= preset.horizon_hours,
        Rule.EXCLUDED: reading.excluded >= -math.log(preset.alpha_excluded),
        Rule.HOPELESS: power < preset.futile_power,
    }
    return np.select(list(conditions.values()), [int(rule) for rule in conditions], int(Rule.CONTINUE))


def _look(state: State, reading: _Reading, preset: Preset, free: Bools) -> tuple[State, Floats, Floats]:
    """Make the looks that are due: the state, the bound of the score (inf without a look) and the conditional power."""
    size = len(state.hours)
    bound, power = np.full(size, np.inf), np.full(size, np.nan)
    looks = np.array(preset.looks)
    number = np.searchsorted(looks, state.hours + 1e-9, side="right") - 1
    due = (number >= 0) & (looks[np.maximum(number, 0)] > state.look_hours + 1e-9)
    taken = due & free & (state.information >= preset.minimum_information) & (preset.outcome == "conversion")
    informations, bounds = state.look_information.copy(), state.look_bound.copy()
    for hours in np.unique(state.hours[taken]):
        rows = np.flatnonzero(taken & (state.hours == hours))
        bound[rows], power[rows] = _bounds_at(state, reading, preset, rows, float(hours))
        informations[rows, number[rows]], bounds[rows, number[rows]] = state.information[rows], bound[rows]
    look_hours = np.where(due, state.hours, state.look_hours)
    return replace(state, look_hours=look_hours, look_information=informations, look_bound=bounds), bound, power


def _bounds_at(state: State, reading: _Reading, preset: Preset, rows: Ints, hours: float) -> tuple[Floats, Floats]:
    """Bound of the score and conditional power of the experiments in `rows`, which all stand at `hours`."""
    information = state.information[rows]
    end = information * max(preset.horizon_hours / hours, 1.0)
    bounds = boundary.look_bounds(
        boundary.Look(
            state.look_information[rows],
            state.look_bound[rows],
            information,
            end,
            preset.spend(hours),
            preset.alpha_looks,
        )
    )
    # Never a lift so small that this traffic could not find it by the end; past the margin, as the score is.
    theta = np.maximum(preset.smallest_theta, preset.smallest_deviations / np.sqrt(end))
    power = boundary.conditional_power(reading.score[rows], information, end, bounds.end, theta)
    judged = preset.futile_from_hours <= hours < preset.horizon_hours
    return bounds.now, power if judged else np.full(len(rows), np.nan)


def _reweigh(state: State, rule: Ints, better: Floats, preset: Preset) -> tuple[State, Floats]:
    """The next share: a frozen one stays, an ended experiment's is 0 or 1."""
    share = next_share(state.stage, state.stage_users, better, preset)
    goes_on = rule == Rule.CONTINUE
    stays = np.isin(rule, FREEZES)
    ended = np.where(np.isin(rule, PROMOTES), 1.0, 0.0)
    weight = np.where(goes_on, share.weight, np.where(stays, state.weight, ended))
    stage = np.where(goes_on, share.stage, state.stage)
    users = np.where(goes_on, share.users, state.stage_users)
    return replace(state, weight=weight, stage=stage, stage_users=users), weight


class Share(NamedTuple):
    """Stage (R,), users of the challenger counted in it (R,), and its share of new users (R,), 0 to 1."""

    stage: Ints
    users: Ints
    weight: Floats


def probability_better(score: Floats, information: Floats, prior_deviation: float) -> Floats:
    """P(the challenger is better), (R,), under a normal prior of θ with mean zero."""
    return normal_cdf(score / np.sqrt(information + prior_deviation**-2))


def next_share(stage: Ints, users: Ints, better: Floats, preset: Preset) -> Share:
    """Open the stages that are due, then take the cap; below the knee the share falls at once, down to the floor."""
    needed = np.array([item.users for item in preset.stages] + [np.iinfo(np.int64).max])
    caps = np.array([item.cap for item in preset.stages] + [preset.cap])
    for _ in preset.stages:
        opens = (users >= needed[stage]) & (better >= preset.knee)
        stage, users = stage + opens, users - np.where(opens, needed[stage], 0)
    cap = caps[stage]
    weight = np.maximum(cap * np.minimum(better / preset.knee, 1.0), np.minimum(preset.floor, cap))
    # In steps of 1/10,000: the router, the endpoint and the stored state hold the same number.
    return Share(stage, users, np.round(weight, 4))
