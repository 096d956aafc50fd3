"""STATE's evidence through one tick: minutes and strata go in, a decision comes out. The rules are in stats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from usher.experiments.metrics import Answers
from usher.experiments.stats import codec, decisions
from usher.experiments.stats.decisions import Decision, Minute, Signals
from usher.experiments.stats.errors import StateError
from usher.experiments.stats.presets import Preset, preset
from usher.experiments.stats.state import State, explain_sample_ratio, new_state
from usher.experiments.stats.strata import SetApart, Stratum


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an experiment has shown so far. Methods give a new one."""

    state: State
    preset: Preset

    @classmethod
    def read(cls, name: str, item: Mapping[str, Any] | None, revision: Any) -> Evidence:
        """From STATE's `evidence`, absent before the first tick; StateError when it was edited, cut short or lost."""
        terms = preset(name)
        if item is None:
            if revision != 0:
                raise StateError("the experiment's state is gone: it was deleted by hand")
            return cls(new_state(terms), terms)
        return cls(codec.from_item(item, terms), terms)

    def item(self) -> dict[str, Any]:
        return codec.to_item(self.state)

    @property
    def last_minute(self) -> int:
        return int(self.state.last_minute[0])

    @property
    def share(self) -> float:
        """The challenger's, 0 to 1."""
        return float(self.state.weight[0])

    @property
    def horizon_hours(self) -> float:
        return self.preset.horizon_hours

    def with_share(self, share: float) -> Evidence:
        """With another share than the statistics would give: what was ordered, or what is safe."""
        return replace(self, state=replace(self.state, weight=np.array([share])))

    def explained(self) -> Evidence:
        """An operator has looked at the broken sample ratio: watch it anew."""
        return replace(self, state=explain_sample_ratio(self.state))

    def watch(self, minutes: Sequence[Answers]) -> tuple[Evidence, Decision, list[SetApart]]:
        """Guardrails, minute by minute, up to the first that stops the experiment."""
        evidence: Evidence = self
        apart: list[SetApart] = []
        each: list[Answers | None] = [*minutes]
        for found in each or [None]:
            minute = Minute(found.minute, found.requests, found.bad) if found else None
            outcome = decisions.check_minute(evidence.state, minute, self.preset)
            evidence, decision = replace(self, state=outcome.state), outcome.decision
            apart += outcome.set_apart
            if decision.ends:
                break
        return evidence, decision, apart

    def close(
        self, strata: Sequence[Stratum], hours: float, *, held: bool
    ) -> tuple[Evidence, Decision, list[SetApart]]:
        """The close of an epoch. hours: of the preset's calendar. held: frozen, whatever the evidence says."""
        outcome = decisions.close_epoch(self.state, strata, hours, self.preset, Signals(held=held))
        return replace(self, state=outcome.state), outcome.decision, list(outcome.set_apart)

    def bounds(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The numbers that are finite, and beside each evidence what it has to reach."""
        found = dict(numbers)
        if "log_e_promote" in numbers:
            found |= {"evidence": numbers["log_e_promote"], "threshold": -math.log(self.preset.alpha_anytime)}
        found |= {
            "threshold_guardrail": -math.log(self.preset.alpha_guardrail),
            "threshold_sample_ratio": -math.log(self.preset.alpha_sample_ratio),
            "threshold_harm": -math.log(self.preset.alpha_harm),
        }
        return {name: value for name, value in found.items() if math.isfinite(value)}
