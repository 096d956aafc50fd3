"""The decisions of a tick on an open experiment. The controller takes the first that applies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from usher.experiments import transitions
from usher.experiments.endpoint import EndpointStatus
from usher.experiments.evidence import Evidence
from usher.experiments.stats.decisions import Minute, Verdict
from usher.experiments.strata import DueStrata
from usher.store.experiment_state import ExperimentState, Transition
from usher.store.experiments import Meta
from usher.store.router import Router, router_fault

#: No promotion when a smaller share of the outcomes of enrolled users came with a valid recommendation id.
JOIN_RATE_MIN = 0.5
#: An experiment whose evidence and preset cannot be read ends after so many hours of its calendar.
_LAST_RESORT_HOURS = 504.0
_REASON_MAX = 1500
_ALARM_VARIANT = re.compile(r"-variant-([AB])-")


@dataclass(frozen=True, slots=True)
class TickContext:
    """All that a tick has read. evidence: None when it cannot be read, for the reason `evidence_problem`."""

    router: Router
    meta: Meta
    state: ExperimentState
    endpoint: EndpointStatus
    evidence: Evidence | None
    evidence_problem: str
    now: float

    @property
    def at(self) -> int:
        return int(self.now)

    @property
    def share(self) -> float:
        """The challenger's current share, 0 to 1."""
        return float(self.router.weights[self.meta.challenger])

    @property
    def epoch_is_over(self) -> bool:
        return (
            self.router.state in ("testing", "frozen") and self.now >= self.router.opened_at + self.meta.epoch_seconds
        )

    @property
    def bake_is_over(self) -> bool:
        return self.router.state == "baking" and self.now >= self.meta.decided_at + self.meta.bake_seconds


@dataclass(frozen=True, slots=True)
class Decision:
    """A transition, the evidence to store with it, and further fields of STATE. void: see StateChange."""

    transition: Transition
    evidence: Evidence | None = None
    fields: tuple[tuple[str, Any], ...] = ()
    void: str = ""


def repair_router(context: TickContext) -> Decision | None:
    """For a router that Usher did not write like this: all traffic to the champion, under a new version."""
    router, known = context.router, context.state.router
    fault = router_fault(router, context.now)
    if fault is None and known:
        changed = [name for name, value in known.items() if getattr(router, name) != value]
        fault = f"{', '.join(changed)} changed" if changed else None
    if fault is None:
        return None
    reason = f"the router was edited by hand ({fault}): the champion has all the traffic"
    # Past every version that was used: users enrolled under a number that comes again would be of two strata.
    last = replace(router, version=max(_whole(router.version), context.state.last_router_version()))
    if context.meta.status == "baking":
        made = transitions.promote(last, context.meta, reason, context.at)
        made = replace(made, decision="continue", side_effects={})
    else:
        made = transitions.freeze(last, context.meta, 0.0, reason, context.at)
    share = made.router.weights[context.meta.challenger]
    return Decision(made, context.evidence.with_share(share) if context.evidence else None, void=reason)


def freeze_unreadable(context: TickContext) -> Decision | None:
    """For evidence that cannot be read: without guardrails the challenger gets no traffic until an operator decides."""
    if context.evidence is not None or context.router.state == "baking":
        return None
    if context.meta.hours(context.now) >= _LAST_RESORT_HOURS:
        reason = f"undecided at the end: {context.evidence_problem}"
        return Decision(transitions.end(context.router, context.meta, "inconclusive", reason, context.at))
    if context.router.state == "frozen" and context.share == 0:
        return None
    return Decision(transitions.freeze(context.router, context.meta, 0.0, context.evidence_problem, context.at))


def on_alarm(context: TickContext, alarm: str) -> Decision | None:
    """An alarm of the challenger's variant ends the experiment; one of the champion's freezes it."""
    found = _ALARM_VARIANT.search(alarm)
    if found is None:
        return None
    if found[1] == context.meta.challenger:
        made = transitions.end(context.router, context.meta, "roll_back", f"the alarm {alarm} fired", context.at)
        return Decision(made, context.evidence.with_share(0.0) if context.evidence else None)
    if context.router.state != "testing":
        return None
    cause = "both variants may share the cause, the weights do not change"
    reason = f"the alarm {alarm} of the champion's variant fired: {cause}"
    made = transitions.freeze(context.router, context.meta, context.share, reason, context.at)
    return Decision(made, context.evidence)


def check_guardrails(context: TickContext, minutes: Sequence[Minute]) -> Decision:
    """Roll back, freeze, or change nothing; with the minutes added to the evidence."""
    assert context.evidence is not None  # noqa: S101 - the controller's order of decisions
    evidence, verdict, uncounted = context.evidence.check_minutes(minutes)
    reason = _with_uncounted(verdict.reason, uncounted)
    if verdict.ends:
        made = transitions.end(context.router, context.meta, verdict.decision, reason, context.at)
    elif verdict.decision == "freeze" and context.router.state == "testing":
        made = transitions.freeze(context.router, context.meta, context.share, reason, context.at)
    else:
        made = transitions.unchanged(context.router, reason)
    numbers = {**_numbers(context.state), **evidence.with_thresholds(verdict.numbers)}
    return Decision(replace(made, numbers=numbers), evidence)


def on_endpoint_problem(context: TickContext) -> Decision | None:
    """For an endpoint that cannot serve: no new users are enrolled, and the champion has all the traffic."""
    if not context.endpoint.problem or context.router.state != "testing":
        return None
    made = transitions.freeze(context.router, context.meta, 0.0, context.endpoint.problem, context.at)
    return Decision(made, context.evidence.with_share(0.0) if context.evidence else None)


def promotion_doubt(join_rate: float | None, blind: str) -> str:
    """Why nothing may be promoted whatever the evidence says, or empty. blind: what could not be read, or empty."""
    if blind:
        return blind
    if join_rate is not None and join_rate < JOIN_RATE_MIN:
        return f"only {join_rate:.0%} of the outcomes came with a recommendation id"
    return ""


def close_epoch(context: TickContext, due: DueStrata, doubt: str) -> Decision:
    """Count the strata that are due and decide. doubt: why nothing may be promoted, or empty."""
    assert context.evidence is not None  # noqa: S101 - the controller's order of decisions
    before = context.evidence
    held = bool(context.state.hold or context.endpoint.problem)
    evidence, verdict, uncounted = before.close_epoch(due.strata, context.meta.hours(context.now), held=held)
    reason = _with_uncounted(verdict.reason, [*due.uncounted, *uncounted])
    if verdict.decision == "promote" and doubt:
        reason = f"not promoted: {doubt} ({reason})"
        verdict, evidence = replace(verdict, decision="freeze"), evidence.with_share(before.share)
    made = _closing(context, verdict, _freeze_reason(context, verdict, reason), evidence.share)
    numbers = evidence.with_thresholds(verdict.numbers)
    return Decision(replace(made, numbers=numbers), evidence, (("cursor", due.cursor),))


def _closing(context: TickContext, verdict: Verdict, reason: str, share: float) -> Transition:
    router, meta, at = context.router, context.meta, context.at
    if verdict.decision == "continue":
        return transitions.go_on(router, meta, share, reason, at)
    if verdict.decision == "freeze":
        return transitions.freeze(router, meta, share, reason, at)
    if verdict.decision == "promote":
        return transitions.promote(router, meta, reason, at)
    return transitions.end(router, meta, verdict.decision, reason, at)


def _freeze_reason(context: TickContext, verdict: Verdict, reason: str) -> str:
    if verdict.decision != "freeze":
        return reason
    if context.endpoint.problem:
        return context.endpoint.problem
    hold = context.state.hold
    return f"{reason} ({hold.get('operator', '?')}: {hold.get('why', '') or 'no reason was given'})" if hold else reason


def complete_bake(context: TickContext) -> Decision:
    """Close a promoted experiment whose bake time is over."""
    model, seconds = context.meta.models["challenger"], context.meta.bake_seconds
    reason = f"no guardrail failed for {model} during its bake time of {seconds} s: it stays the champion"
    return Decision(transitions.complete_bake(context.router, context.meta, reason, context.at), context.evidence)


def no_change(context: TickContext, reason: str) -> Decision:
    """Leave everything as it is."""
    return Decision(transitions.unchanged(context.router, reason), context.evidence)


def _with_uncounted(reason: str, uncounted: Sequence[tuple[str, str]]) -> str:
    listed = [f"{what}: {why}" for what, why in uncounted if "no user was enrolled" not in why]
    return "; ".join([reason, *listed])[:_REASON_MAX]


def _numbers(state: ExperimentState) -> dict[str, float]:
    found = state.summary.get("numbers")
    return dict(found) if isinstance(found, dict) else {}


def _whole(version: Any) -> int:
    return version if isinstance(version, int) else 0
