"""The rulings of a tick on an open experiment, in the order in which the first that applies decides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from usher.experiments import calendar, transitions
from usher.experiments.endpoint import Standing
from usher.experiments.evidence import Evidence
from usher.experiments.metrics import Answers
from usher.experiments.operator_commands import Order
from usher.experiments.stats.decisions import Decision
from usher.experiments.strata import Due
from usher.experiments.transitions import Step
from usher.store.experiment_state import Kept
from usher.store.experiments import Meta, router_fault
from usher.store.router import Router

#: No promotion when fewer of the outcomes of enrolled users came with a valid recommendation id.
LEAST_JOIN_RATE = 0.5
#: An experiment whose evidence cannot be read ends after so many hours of its calendar, if its preset is unknown too.
_LAST_RESORT_HOURS = 504.0
_ALARM_VARIANT = re.compile(r"-variant-([AB])-")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a tick has before it. evidence: None when it cannot be read, for the reason `unreadable`."""

    router: Router
    meta: Meta
    kept: Kept
    endpoint: Standing
    evidence: Evidence | None
    unreadable: str
    now: float

    @property
    def at(self) -> int:
        return int(self.now)

    @property
    def share(self) -> float:
        """The challenger's, as it stands."""
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
class Ruling:
    """A step, the evidence to keep with it, and what else of STATE changes. void: see storage.Change."""

    step: Step
    evidence: Evidence | None = None
    fields: tuple[tuple[str, Any], ...] = ()
    void: str = ""


class Refused(Exception):
    """An order that cannot be obeyed, with the reason in words."""


def edited(scene: Scene) -> Ruling | None:
    """A router that Usher did not leave like this: all traffic to the champion, past every version that was used."""
    router, known = scene.router, scene.kept.router
    fault = router_fault(router, scene.now)
    if fault is None and known:
        changed = [name for name, value in known.items() if getattr(router, name) != value]
        fault = f"{', '.join(changed)} changed" if changed else None
    if fault is None:
        return None
    words = f"the router was edited by hand ({fault}): the champion has all the traffic"
    # Past every version that was used: users enrolled under a number that comes again would be of two strata.
    last = replace(router, version=max(_whole(router.version), scene.kept.last_router_version()))
    if scene.meta.status == "baking":
        step = replace(transitions.promote(last, scene.meta, words, scene.at), decision="continue", side_effects={})
    else:
        step = transitions.freeze(last, scene.meta, 0.0, words, scene.at)
    evidence = scene.evidence.with_share(step.router.weights[scene.meta.challenger]) if scene.evidence else None
    return Ruling(step, evidence, void=words)


def unreadable(scene: Scene) -> Ruling | None:
    """Evidence that cannot be read: guardrails are blind, so the challenger gets nobody until an operator decides."""
    if scene.evidence is not None or scene.router.state == "baking":
        return None
    if calendar.hours(scene.meta, scene.now) >= _LAST_RESORT_HOURS:
        reason = f"undecided at the end: {scene.unreadable}"
        return Ruling(transitions.end(scene.router, scene.meta, "inconclusive", reason, scene.at))
    if scene.router.state == "frozen" and scene.share == 0:
        return None
    return Ruling(transitions.freeze(scene.router, scene.meta, 0.0, scene.unreadable, scene.at))


def obey(scene: Scene, order: Order) -> Ruling:
    """What a person ordered; Refused in words."""
    rulings = {"roll_back": _roll_back, "promote": _promote, "freeze": _freeze, "thaw": _thaw}
    if order.action not in rulings:
        raise Refused(f"no order is called {order.action!r}: they are {', '.join(rulings)}")
    ruling = rulings[order.action](scene, order)
    return replace(ruling, step=ruling.step.ordered(order.who, order.why))


def _roll_back(scene: Scene, order: Order) -> Ruling:
    step = transitions.end(scene.router, scene.meta, "roll_back", f"rolled back, {order.words}", scene.at)
    return Ruling(step, scene.evidence.with_share(0.0) if scene.evidence else None)


def _promote(scene: Scene, order: Order) -> Ruling:
    if scene.router.state == "baking":
        raise Refused(f"{scene.meta.models['challenger']} is promoted already, and bakes")
    step = transitions.promote(scene.router, scene.meta, f"promoted, {order.words}", scene.at)
    return Ruling(step, scene.evidence.with_share(1.0) if scene.evidence else None)


def _freeze(scene: Scene, order: Order) -> Ruling:
    if scene.router.state == "baking":
        raise Refused("nothing can be frozen after a promotion; `usher rollback` takes it back")
    step = transitions.freeze(scene.router, scene.meta, scene.share, f"frozen, {order.words}", scene.at)
    held = {"operator": order.who, "why": order.why, "at": scene.at}
    return Ruling(step, scene.evidence, (("hold", held),))


def _thaw(scene: Scene, order: Order) -> Ruling:
    if scene.router.state != "frozen":
        raise Refused(f"the experiment is not frozen, it is {scene.router.state}")
    if scene.evidence is None:
        raise Refused(f"{scene.unreadable}; it can be rolled back or promoted only")
    if scene.endpoint.trouble:
        raise Refused(f"{scene.endpoint.trouble}: mend it first")
    step = transitions.goes_on(scene.router, scene.meta, scene.share, f"goes on, {order.words}", scene.at)
    return Ruling(step, scene.evidence.explained(), (("hold", None),))


def alarmed(scene: Scene, alarm: str) -> Ruling | None:
    """An alarm of the challenger's variant ends it at once; one of the champion's freezes it."""
    found = _ALARM_VARIANT.search(alarm)
    if found is None:
        return None
    if found[1] == scene.meta.challenger:
        step = transitions.end(scene.router, scene.meta, "roll_back", f"the alarm {alarm} fired", scene.at)
        return Ruling(step, scene.evidence.with_share(0.0) if scene.evidence else None)
    if scene.router.state != "testing":
        return None
    reason = f"the alarm {alarm} of the champion's variant fired: a cause that both share, weights stay"
    return Ruling(transitions.freeze(scene.router, scene.meta, scene.share, reason, scene.at), scene.evidence)


def watched(scene: Scene, minutes: Sequence[Answers]) -> Ruling:
    """The guardrails: roll back, freeze, or the step that changes nothing, with what was learned."""
    assert scene.evidence is not None  # noqa: S101 - the caller's order of rulings
    evidence, decision, apart = scene.evidence.watch(minutes)
    reason = _with_apart(decision.reason, apart)
    if decision.ends:
        step = transitions.end(scene.router, scene.meta, decision.decision, reason, scene.at)
    elif decision.decision == "freeze" and scene.router.state == "testing":
        step = transitions.freeze(scene.router, scene.meta, scene.share, reason, scene.at)
    else:
        step = transitions.unchanged(scene.router, reason)
    numbers = {**_numbers(scene.kept), **evidence.bounds(decision.numbers)}
    return Ruling(replace(step, numbers=numbers), evidence)


def troubled(scene: Scene) -> Ruling | None:
    """An endpoint that cannot serve: nobody new is enrolled, and the champion has all the traffic there is."""
    if not scene.endpoint.trouble or scene.router.state != "testing":
        return None
    step = transitions.freeze(scene.router, scene.meta, 0.0, scene.endpoint.trouble, scene.at)
    return Ruling(step, scene.evidence.with_share(0.0) if scene.evidence else None)


def doubt(join_rate: float | None, blind: str) -> str:
    """Why nothing may be promoted, whatever the evidence says; or empty. blind: what could not be read, or empty."""
    if blind:
        return blind
    if join_rate is not None and join_rate < LEAST_JOIN_RATE:
        return f"only {join_rate:.0%} of the outcomes came with a recommendation's id"
    return ""


def closed(scene: Scene, due: Due, doubt: str) -> Ruling:
    """The close of an epoch. doubt: why nothing may be promoted, or empty."""
    assert scene.evidence is not None  # noqa: S101 - the caller's order of rulings
    before = scene.evidence
    held = bool(scene.kept.held or scene.endpoint.trouble)
    hours = calendar.hours(scene.meta, scene.now)
    evidence, decision, apart = before.close(due.strata, hours, held=held)
    reason = _with_apart(decision.reason, [*due.apart, *apart])
    if decision.decision == "promote" and doubt:
        reason = f"not promoted: {doubt} ({reason})"
        decision, evidence = replace(decision, decision="freeze"), evidence.with_share(before.share)
    step = _closing_step(scene, decision, _held_reason(scene, decision, reason), evidence.share)
    numbers = evidence.bounds(decision.numbers)
    return Ruling(replace(step, numbers=numbers), evidence, (("cursor", due.cursor),))


def _closing_step(scene: Scene, decision: Decision, reason: str, share: float) -> Step:
    router, meta, at = scene.router, scene.meta, scene.at
    if decision.decision == "continue":
        return transitions.goes_on(router, meta, share, reason, at)
    if decision.decision == "freeze":
        return transitions.freeze(router, meta, share, reason, at)
    if decision.decision == "promote":
        return transitions.promote(router, meta, reason, at)
    return transitions.end(router, meta, decision.decision, reason, at)


def _held_reason(scene: Scene, decision: Decision, reason: str) -> str:
    if decision.decision != "freeze":
        return reason
    if scene.endpoint.trouble:
        return scene.endpoint.trouble
    held = scene.kept.held
    return f"{reason} ({held.get('operator', '?')}: {held.get('why', '') or 'no reason was given'})" if held else reason


def baked(scene: Scene) -> Ruling:
    """The end of the bake."""
    seconds = scene.meta.bake_seconds
    reason = f"no guardrail spoke against {scene.meta.models['challenger']} in {seconds} s: it stays the champion"
    return Ruling(transitions.baked(scene.router, scene.meta, reason, scene.at), scene.evidence)


def nothing(scene: Scene, reason: str) -> Ruling:
    """All stays as it is."""
    return Ruling(transitions.unchanged(scene.router, reason), scene.evidence)


def seen(scene: Scene, watched: Ruling) -> Scene:
    """The same scene, with the minutes that were watched in its evidence."""
    return replace(scene, evidence=watched.evidence)


def _with_apart(reason: str, apart: Sequence[tuple[str, str]]) -> str:
    told = [
        f"{what}: {why}" for what, why in apart if "nobody was enrolled" not in why and "nobody enrolled" not in why
    ]
    return "; ".join([reason, *told])[:1500]


def _numbers(kept: Kept) -> dict[str, float]:
    found = kept.summary.get("numbers")
    return dict(found) if isinstance(found, dict) else {}


def _whole(version: Any) -> int:
    return version if isinstance(version, int) else 0
