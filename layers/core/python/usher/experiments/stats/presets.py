"""How long an experiment runs and which error rates it has, as data: the presets of docs/shifting.md (no numpy)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

_STEPS = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.12, 0.15, 0.18, 0.22, 0.27, 0.33, 0.4)
_FAR = (0.5, 0.65, 0.85, 1.1)

#: Log odds ratios θ (challenger against champion) that evidence is kept for: 45 values, symmetric about 0 and denser
#: there. At a base rate of 10 % they span −64 % to +150 %.
THETA_GRID: tuple[float, ...] = tuple(sorted({0.0, *_STEPS, *_FAR, *(-step for step in _STEPS + _FAR)}))

#: A prior is ((standard deviation, mass), …): a scale mixture of normals over θ.
PriorSpec = tuple[tuple[float, float], ...]
PROMOTION_PRIOR: PriorSpec = ((0.03, 0.4), (0.10, 0.4), (0.30, 0.2))
#: Wider: harm that matters is large, and it has to be seen early.
HARM_PRIOR: PriorSpec = ((0.05, 0.3), (0.25, 0.7))

#: What the guardrails watch: server errors, answers slower than the objective, empty answers.
GUARDRAIL_KINDS = ("errors", "slow", "empty")


class PresetError(ValueError):
    """An unknown preset, or one whose numbers contradict each other."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The challenger's share is at most `cap` until `users` more of its users have been counted."""

    cap: float
    users: int


@dataclass(frozen=True, slots=True)
class Preset:
    """The parameters of an experiment. Hours are since its start; error rates are probabilities of ever erring.

    looks (hours) are fixed by the calendar before the start; `spend` says how much of alpha_looks is used up by when.
    """

    name: str
    doc: str
    horizon_hours: float = 336.0
    minimum_hours: float = 24.0
    looks: tuple[float, ...] = ()
    settle_seconds: int = 60
    # promotion
    outcome: str = "conversion"  # or "reward": bounded, decided by the e-process of bounded_rewards alone
    margin_theta: float = 0.0  # below zero: non-inferiority by that log odds ratio
    alpha_looks: float = 0.032
    alpha_anytime: float = 0.002
    early_hours: float = 60.0
    early_share: float = 0.15
    early_power: float = 2.0
    late_power: float = 4.0
    minimum_information: float = 50.0
    promotion_prior: PriorSpec = PROMOTION_PRIOR
    # harm and futility
    alpha_harm: float = 0.05
    harm_prior: PriorSpec = HARM_PRIOR
    futile_power: float = 0.10
    futile_from_hours: float = 96.0
    smallest_theta: float = 0.022
    smallest_deviations: float = 2.8
    excluded_theta: float = 0.02  # past the margin
    alpha_excluded: float = 0.02
    # the challenger's share
    stages: tuple[Stage, ...] = (Stage(0.05, 100), Stage(0.10, 150), Stage(0.25, 300))
    cap: float = 0.50
    floor: float = 0.10
    knee: float = 0.30
    prior_deviation: float = 0.10
    # faults
    guardrail_limits: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"errors": 0.01, "slow": 0.01, "empty": 0.05})
    )
    alpha_guardrail: float = 0.001
    #: 1/500, not 1/100: a false freeze costs a good challenger its promotion, and detection is hardly later.
    alpha_sample_ratio: float = 0.002

    def __post_init__(self) -> None:
        if not self.looks:
            object.__setattr__(self, "looks", plan_looks(self.horizon_hours, self.minimum_hours))
        faults = _faults(self)
        if faults:
            raise PresetError(f"preset {self.name!r}: {'; '.join(faults)}")

    @property
    def first_share(self) -> float:
        """The challenger's share at the opening, 0 to 1."""
        return self.stages[0].cap if self.stages else self.cap

    def spend(self, hours: float) -> float:
        """Cumulative alpha of the looks by an hour of the calendar; the whole of it from the horizon on.

        Quadratic until early_hours, then a steep power: most is kept for the end, where power is decided.
        """
        early = min(hours / self.early_hours, 1.0) ** self.early_power
        late = max(min(hours, self.horizon_hours) - self.early_hours, 0.0) / (self.horizon_hours - self.early_hours)
        return float(self.alpha_looks * (self.early_share * early + (1.0 - self.early_share) * late**self.late_power))


def index_of(theta: float) -> int:
    """Position of `theta` in THETA_GRID; ValueError when it is not a point of the grid."""
    index = min(range(len(THETA_GRID)), key=lambda position: abs(THETA_GRID[position] - theta))
    if not abs(THETA_GRID[index] - theta) <= 1e-9:
        raise ValueError(f"θ = {theta} is not on the grid: the nearest point is {THETA_GRID[index]}")
    return index


def plan_looks(horizon_hours: float, minimum_hours: float) -> tuple[float, ...]:
    """24, 36, 48, 60 h, then every second day, then the end; none before the minimum, none within a day of the end."""
    early = [hours for hours in (24.0, 36.0, 48.0, 60.0) if hours >= minimum_hours]
    start = max(96.0, minimum_hours)
    late = [start + 48.0 * step for step in range(int(max(horizon_hours - start, 0.0) // 48.0) + 1)]
    return (*(hours for hours in early + late if horizon_hours - hours >= 24.0), horizon_hours)


def _faults(preset: Preset) -> list[str]:
    """All contradictions at once."""
    rules = {
        "minimum_hours and early_hours must lie between 0 and horizon_hours": (
            0 <= preset.minimum_hours <= preset.horizon_hours and 0 < preset.early_hours < preset.horizon_hours
        ),
        "looks must increase and end at horizon_hours": (
            list(preset.looks) == sorted(set(preset.looks)) and preset.looks[-1] == preset.horizon_hours
        ),
        "error rates must lie between 0 and 1": all(
            0 < getattr(preset, item.name) < 1 for item in fields(preset) if item.name.startswith("alpha_")
        ),
        "shares must satisfy 0 < floor ≤ cap ≤ 0.5 and stage caps must increase up to cap": _shares_agree(preset),
        "outcome must be conversion or reward": preset.outcome in ("conversion", "reward"),
        "each guardrail needs a limit between 0 and 0.5": (
            set(preset.guardrail_limits) == set(GUARDRAIL_KINDS)
            and all(0 < limit < 0.5 for limit in preset.guardrail_limits.values())
        ),
        "margin_theta (0 or below) and margin_theta + excluded_theta must be points of the grid": _on_grid(preset),
    }
    return [rule for rule, holds in rules.items() if not holds]


def _shares_agree(preset: Preset) -> bool:
    caps = [stage.cap for stage in preset.stages] + [preset.cap]
    users = all(stage.users > 0 for stage in preset.stages)
    # Above one half the looks' error rate no longer holds (docs/shifting.md): so it is refused.
    return users and caps == sorted(caps) and caps[0] > 0 and 0 < preset.floor <= preset.cap <= 0.5 and preset.knee > 0


def _on_grid(preset: Preset) -> bool:
    try:
        index_of(preset.margin_theta)
        index_of(preset.margin_theta + preset.excluded_theta)
    except ValueError:
        return False
    return math.isfinite(preset.margin_theta) and preset.margin_theta <= 0 < preset.excluded_theta


#: The demo's experiment lasts 2.8 hours of the twin's scaled time: the default's calendar divided by 120.
_DEMO_SCALE = 1.0 / 120.0

_ALL = (
    Preset("default", "two whole weeks at most, one day at least"),
    Preset("patient", "three weeks at most: finds +2 % more often", horizon_hours=504.0),
    Preset(
        "cautious",
        "three weeks at most, one at least: a novelty that wears off is not promoted",
        horizon_hours=504.0,
        minimum_hours=168.0,
        early_hours=168.0,
        futile_from_hours=168.0,
    ),
    Preset(
        "demo",
        "the default's calendar in 2.8 hours, for the twin's scaled clock",
        horizon_hours=336.0 * _DEMO_SCALE,
        minimum_hours=24.0 * _DEMO_SCALE,
        looks=tuple(hours * _DEMO_SCALE for hours in plan_looks(336.0, 24.0)),
        settle_seconds=5,
        early_hours=60.0 * _DEMO_SCALE,
        futile_from_hours=96.0 * _DEMO_SCALE,
        minimum_information=20.0,
        # Its whole calendar sees about a thousand users: more in a stage, and the cap would never be reached.
        stages=(Stage(0.10, 6), Stage(0.25, 20)),
    ),
)

#: Every preset by name.
PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _ALL})


def preset(name: str) -> Preset:
    """The preset of that name; PresetError lists the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        raise PresetError(f"unknown preset {name!r}: it is one of {', '.join(PRESETS)}") from None
