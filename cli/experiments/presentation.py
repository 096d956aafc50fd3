"""The values of an experiment as the terminal, the page and `--json` show them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cli.experiments.records import Experiment, Item, clock, mapping, moment_of, number, public
from cli.formatting.terminal import e_value, lift_text, printable
from usher.experiments.stats.presets import PRESETS, Preset
from usher.store.experiments import ROLES
from usher.store.router import Router


@dataclass(frozen=True, slots=True)
class Gauge:
    """A sequential test: its log e-value and the level at which it decides. limit: NaN when unknown."""

    name: str
    log_e: float
    limit: float
    decides: str

    @property
    def progress(self) -> float:
        """The log e-value as a share of the limit, from 0; at 1 the test decides."""
        return max(self.log_e, 0.0) / self.limit


@dataclass(frozen=True, slots=True)
class Role:
    """The counts of a role. users and conversions are NaN before the first count."""

    name: str
    variant: str
    model: str
    weight: float
    users: float
    conversions: float

    @property
    def rate(self) -> float:
        return self.conversions / self.users if self.users > 0 else math.nan


def preset_of(experiment: Experiment) -> Preset | None:
    """The preset of an experiment; None when this version has no preset of that name."""
    return PRESETS.get(str(experiment.meta.get("preset", "")))


def gauges(experiment: Experiment, preset: Preset | None) -> list[Gauge]:
    """The tests of the last tick, with the limits that it stored, else the preset's."""
    known = (
        ("better", "log_e_promote", "threshold", "alpha_anytime", "promotes"),
        ("worse", "log_e_harm", "threshold_harm", "alpha_harm", "retires"),
        ("guardrails", "log_e_guardrail", "threshold_guardrail", "alpha_guardrail", "rolls back"),
        ("sample ratio", "log_e_sample_ratio", "threshold_sample_ratio", "alpha_sample_ratio", "freezes"),
    )
    found = []
    for name, key, stored, alpha, decides in known:
        log_e = number(experiment.numbers, key)
        limit = number(experiment.numbers, stored)
        if math.isnan(limit) and preset is not None:
            limit = -math.log(getattr(preset, alpha))
        if not math.isnan(log_e):
            found.append(Gauge(name, log_e, limit, decides))
    return found


def e_text(gauge: Gauge) -> str:
    """`12.3 of 500`"""
    limit = "" if math.isnan(gauge.limit) else f" of {e_value(gauge.limit)}"
    return f"{e_value(gauge.log_e)}{limit}"


def lift_of_numbers(numbers: Item) -> str:
    """`+1.2% (-3.4% to +5.6%)`"""
    return lift_text(*lift_of(numbers))


def roles(experiment: Experiment, router: Router | None) -> list[Role]:
    """Champion and challenger."""
    weights = experiment.weights(router)
    return [
        Role(
            role,
            experiment.variant(role),
            experiment.model(role),
            weights[role],
            number(experiment.numbers, f"users_{role}"),
            number(experiment.numbers, f"conversions_{role}"),
        )
        for role in ROLES
    ]


def lift_of(item: Item) -> tuple[float, float, float]:
    """Lower end, estimate and upper end of the lift."""
    return number(item, "lift_low"), number(item, "lift"), number(item, "lift_high")


def state_of(experiment: Experiment, router: Router | None) -> str:
    """The router's state while the experiment is open, its status and outcome afterwards."""
    if router is not None and router.experiment_id == experiment.experiment_id:
        return router.state
    outcome = str(experiment.meta.get("outcome", "")).replace("_", " ")
    return f"{experiment.status}: {outcome}" if outcome else experiment.status


def verdict(experiment: Experiment) -> str:
    """Why the experiment ended, else the reason of the newest tick."""
    if experiment.meta.get("reason"):
        return str(experiment.meta["reason"])
    reason = experiment.summary.get("reason") or (
        experiment.decisions[-1].get("reason") if experiment.decisions else ""
    )
    return str(reason or "no decision has been made yet")


def warnings(experiment: Experiment) -> list[str]:
    """Missing or unreliable inputs of the last tick."""
    endpoint, blind = (str(experiment.summary.get(name, "")) for name in ("endpoint", "blind"))
    found = [blind] if blind else []
    if endpoint and endpoint not in ("none", "InService") and endpoint not in verdict(experiment):
        found.append(f"the endpoint: {endpoint}")
    return found


def age(experiment: Experiment, now: float) -> str:
    """Start and duration of the experiment, on the preset's calendar."""
    closed = number(experiment.meta, "closed_at")
    hours = experiment.hours(closed if closed > 0 else now)
    if math.isnan(hours):
        return "start time unknown"
    speed = 3600.0 / experiment.hour_seconds
    played = f" of its calendar, {speed:,.3g} times as fast as the clock" if abs(speed - 1) > 1e-9 else ""
    began = clock(experiment.started_at)
    return f"from {began} UTC, {hours_text(hours)}{played}"


def hours_text(hours: float) -> str:
    """Hours of the calendar, three digits."""
    return f"{hours:,.0f} h" if hours >= 100 else f"{hours:.3g} h"


def decision_line(item: Item) -> str:
    """A decision in one line."""
    decision = str(item.get("decision", "?")).replace("_", " ")
    by, reason = str(item.get("by", "usher")), str(item.get("reason", "no reason is stored"))
    commanded = f" (commanded by {by}: {item.get('why', '')})" if by != "usher" and by not in reason else ""
    return printable(f"{decision}: {reason}{commanded}")


def percent(value: float, digits: int = 0) -> str:
    """A share; a dash when unknown."""
    return "–" if math.isnan(value) else f"{value:.{digits}%}"


def count(value: float) -> str:
    """A count; a dash when unknown."""
    return "–" if math.isnan(value) else f"{value:,.0f}"


def router_record(router: Router | None) -> dict[str, Any] | None:
    """The router for --json."""
    if router is None:
        return None
    return {
        "version": router.version,
        "opened_at": clock(router.opened_at),
        "state": router.state,
        "experiment_id": router.experiment_id,
        "champion": router.champion,
        "weights": dict(router.weights),
        "models": dict(router.models),
    }


def as_record(experiment: Experiment, router: Router | None) -> dict[str, Any]:
    """An experiment for --json: its items and the weights by role."""
    return {
        "experiment_id": experiment.experiment_id,
        "state": state_of(experiment, router),
        "weights": {role: None if math.isnan(w) else w for role, w in experiment.weights(router).items()},
        **public(experiment.meta),
        "summary": dict(experiment.summary),
        "epochs": [public(item) for item in experiment.epochs],
        "strata": [public(item) for item in experiment.strata],
        "decisions": [{"time": clock(moment_of(item)), **public(item)} for item in reversed(experiment.decisions)],
        "commands": [{"time": clock(moment_of(item)), **public(item)} for item in reversed(experiment.commands)],
    }


def join_rate(experiment: Experiment) -> float:
    """The share of enrolled users' outcomes with a valid recommendation id; NaN before the first outcome."""
    found = number(experiment.summary, "join_rate")
    return number(experiment.numbers, "join_rate") if math.isnan(found) else found


def counted(item: Item, role: str) -> tuple[float, float]:
    """Users and conversions of a role in a stratum."""
    found = mapping(item.get(role))
    return number(found, "n"), number(found, "c")


def evidence(experiment: Experiment) -> str:
    """The evidence for the challenger in one line."""
    numbers: Any = experiment.numbers
    found = []
    if isinstance(numbers.get("z"), int | float):
        bound = numbers.get("bound")
        found.append(f"score {numbers['z']:.2f}" + (f" of {bound:.2f}" if isinstance(bound, int | float) else ""))
    for gauge in gauges(experiment, preset_of(experiment)):
        if gauge.name == "better":
            found.append(f"e-value {e_text(gauge)}")
    if "lift" in numbers:
        found.append(f"lift {lift_of_numbers(numbers)}")
    return ", ".join(found) or "nothing has been counted yet"
