"""STATE's evidence during one tick: minutes and strata are added, a verdict comes out. The rules are in `stats`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from usher.experiments.stats import codec, decisions
from usher.experiments.stats.codec import StateError
from usher.experiments.stats.decisions import Minute, Verdict
from usher.experiments.stats.presets import Preset, preset
from usher.experiments.stats.state import State, explain_sample_ratio, new_state
from usher.experiments.stats.strata import Stratum, Uncounted


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an experiment has shown so far. Methods return a new one."""

    state: State
    preset: Preset

    @classmethod
    def read(cls, name: str, item: Mapping[str, Any] | None, revision: Any) -> Evidence:
        """From STATE's `evidence`, absent before the first tick; StateError when it was edited, cut short or deleted.

        name: of the preset; PresetError for an unknown one.
        """
        terms = preset(name)
        if item is None:
            if revision != 0:
                raise StateError("the experiment's state was deleted by hand: roll the experiment back or promote it")
            return cls(new_state(terms), terms)
        return cls(codec.from_item(item, terms), terms)

    def item(self) -> dict[str, Any]:
        """The form that STATE stores."""
        return codec.to_item(self.state)

    @property
    def last_minute(self) -> int:
        return int(self.state.last_minute[0])

    @property
    def share(self) -> float:
        """The challenger's, 0 to 1."""
        return float(self.state.weight[0])

    def with_share(self, share: float) -> Evidence:
        """With another share than the statistics give: an operator's, or a safe one."""
        return replace(self, state=replace(self.state, weight=np.array([share])))

    def with_sample_ratio_explained(self) -> Evidence:
        """After an operator has looked at the broken sample ratio: test it anew."""
        return replace(self, state=explain_sample_ratio(self.state))

    def check_minutes(self, minutes: Sequence[Minute]) -> tuple[Evidence, Verdict, list[Uncounted]]:
        """Check the guardrails, minute by minute, up to the first that stops the experiment."""
        evidence: Evidence = self
        uncounted: list[Uncounted] = []
        each: list[Minute | None] = [*minutes]
        for minute in each or [None]:
            outcome = decisions.check_minute(evidence.state, minute, self.preset)
            evidence, verdict = replace(self, state=outcome.state), outcome.verdict
            uncounted += outcome.uncounted
            if verdict.ends:
                break
        return evidence, verdict, uncounted

    def close_epoch(
        self, strata: Sequence[Stratum], hours: float, *, held: bool
    ) -> tuple[Evidence, Verdict, list[Uncounted]]:
        """Close an epoch. hours: of the preset's calendar. held: frozen, whatever the evidence says."""
        outcome = decisions.close_epoch(self.state, strata, hours, self.preset, held=held)
        return replace(self, state=outcome.state), outcome.verdict, list(outcome.uncounted)

    def with_thresholds(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The finite numbers, and beside each log e-value the threshold that it has to reach."""
        found = dict(numbers)
        if "log_e_promote" in numbers:
            found |= {"evidence": numbers["log_e_promote"], "threshold": -math.log(self.preset.alpha_anytime)}
        found |= {
            "threshold_guardrail": -math.log(self.preset.alpha_guardrail),
            "threshold_sample_ratio": -math.log(self.preset.alpha_sample_ratio),
            "threshold_harm": -math.log(self.preset.alpha_harm),
        }
        return {name: value for name, value in found.items() if math.isfinite(value)}
