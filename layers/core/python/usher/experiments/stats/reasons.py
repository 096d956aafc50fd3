"""The reason of a verdict as one sentence with the numbers behind it, for operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from usher.experiments.stats.presets import Preset
from usher.experiments.stats.rules import Rule

_KIND_WORDS = {"errors": "server errors", "slow": "answers over the latency objective", "empty": "empty answers"}


@dataclass(frozen=True, slots=True)
class Fact:
    """What a reason may mention. kind, relative: the guardrail with the most evidence, and what it compares with."""

    numbers: Mapping[str, float]
    preset: Preset
    kind: str
    relative: bool

    def e_value(self, name: str) -> str:
        """An e-value as a readable number. By chance, it is reached in at most one of that many experiments."""
        log_e = self.numbers.get(name, 0.0)
        return f"{math.exp(log_e):,.3g}" if log_e < 14 else f"10^{log_e / math.log(10):.0f}"

    @property
    def lift(self) -> str:
        low, high = (self.numbers.get(name, sign * math.inf) for name, sign in (("lift_low", -1), ("lift_high", 1)))
        return f"lift {self.numbers.get('lift', 0.0):+.1%} (95 %: {_end(low)} to {_end(high)})"

    @property
    def hours(self) -> str:
        hours = self.numbers.get("hours", 0.0)
        return f"{hours:.4g} h" if hours >= 1 else f"{60 * hours:.3g} min"


def _end(value: float) -> str:
    return f"{value:+.1%}" if math.isfinite(value) else "unbounded"


def reason_of(rule: Rule, fact: Fact, weights: tuple[float, float]) -> str:
    """One sentence. weights: the challenger's share before and from now on."""
    before, after = (f"{weight:.0%}" for weight in weights)
    moved = f"; the challenger's share changes from {before} to {after}" if before != after else ""
    return _REASONS[rule](fact) + moved


def _continue(fact: Fact) -> str:
    if "z" not in fact.numbers:
        return "no guardrail has failed"
    return f"undecided after {fact.hours}: {fact.lift}"


def _guardrail(fact: Fact) -> str:
    limit = fact.preset.guardrail_limits[fact.kind]
    against = "1.5 times the champion's odds" if fact.relative else f"its limit of {limit:.1%}"
    what = _KIND_WORDS[fact.kind]
    return f"the challenger's {what} exceed {against}: e-value {fact.e_value('log_e_guardrail')}"


def _look(fact: Fact) -> str:
    z, bound = fact.numbers.get("z", 0.0), fact.numbers.get("bound", 0.0)
    return f"better at the look after {fact.hours}: z = {z:.2f} reaches its bound {bound:.2f}; {fact.lift}"


def _anytime(fact: Fact) -> str:
    return f"better after {fact.hours}: e-value {fact.e_value('log_e_promote')}; {fact.lift}"


def _hopeless(fact: Fact) -> str:
    power = fact.numbers.get("power", 0.0)
    return f"after {fact.hours} the chance of finding a relevant lift by the end is {power:.0%}; {fact.lift}"


def _excluded(fact: Fact) -> str:
    theta = fact.preset.margin_theta + fact.preset.excluded_theta
    return f"a log odds ratio of {theta:g} or more is excluded: e-value {fact.e_value('log_e_excluded')}; {fact.lift}"


_REASONS: dict[Rule, Callable[[Fact], str]] = {
    Rule.CONTINUE: _continue,
    Rule.GUARDRAIL: _guardrail,
    Rule.CHAMPION_BROKEN: lambda fact: (
        f"the champion breaks its own limits (e-value {fact.e_value('log_e_champion')}): "
        "both variants may share the cause, the weights do not change"
    ),
    Rule.SAMPLE_RATIO: lambda fact: (
        f"enrolments do not follow the weights (e-value {fact.e_value('log_e_sample_ratio')}): "
        "the weights do not change and nothing is promoted until an operator finds the cause and runs `usher thaw`"
    ),
    Rule.HELD: lambda _: "an operator froze the weights",
    Rule.HARM: lambda fact: f"worse: e-value {fact.e_value('log_e_harm')} after {fact.hours}; {fact.lift}",
    Rule.ANYTIME: _anytime,
    Rule.LOOK: _look,
    Rule.HORIZON: lambda fact: f"undecided at the end after {fact.hours}: the champion stays; {fact.lift}",
    Rule.EXCLUDED: _excluded,
    Rule.HOPELESS: _hopeless,
}
