"""One tick: look at what stands, decide, write it down; what remains is for the workflow's next states.

Nothing here rests on the tick before having ended well. What a decision changes in the state table is one transaction;
the endpoint is compared with the router each time; side_effects stand in STATE until they are done; and the schedule is
stopped only by a tick that finds nothing open, nothing left to do, and the endpoint in line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from usher.errors import InputError, RouterUnreadable, TickUnderWay
from usher.experiments import calendar, endpoint, idle, operator_commands, rulings, schedule
from usher.experiments.evidence import Evidence
from usher.experiments.metrics import Answers, Metrics
from usher.experiments.rulings import Refused, Ruling, Scene
from usher.experiments.stats.errors import ShiftError
from usher.experiments.strata import Strata
from usher.schema.settings import Settings
from usher.store.experiment_state import Book, Change, Kept
from usher.store.experiments import Meta, read_meta
from usher.store.router import Router, read_router
from usher.store.tick_lease import Lease

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

logger = Logger(child=True)

#: Periods of metrics that one tick takes; after a pause the next ticks go on.
MOST_PERIODS = 240
#: Orders that one tick answers; the schedule's next one goes on.
MOST_ORDERS = 10
#: What the summary keeps from one epoch's close to the next.
_KEPT_NOTES = ("join_rate", "variants")


@dataclass(frozen=True, slots=True)
class Asked:
    """What started the tick. holder: the execution's name. alarm: its name, or empty. command: whether one waits."""

    holder: str
    alarm: str = ""
    command: str = ""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Asked:
        """From the workflow's input; InputError for another one."""
        given = event.get("given")
        holder = event.get("holder")
        if not isinstance(given, Mapping) or not isinstance(holder, str) or not holder:
            raise InputError(f"no tick of an experiment ({str(event)[:200]}): the shift workflow starts ticks")
        alarm, command = (given.get(name, "") for name in ("alarm", "command"))
        if not isinstance(alarm, str) or not isinstance(command, str):
            raise InputError("alarm and command must be names")
        return cls(holder, alarm[:300], command[:300])

    @property
    def is_urgent(self) -> bool:
        return bool(self.alarm or self.command)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the workflow does next. weights: the endpoint's to come, empty for as they are.

    experiment_id: whose side effects. shown: numbers for CloudWatch.
    """

    decision: str
    reason: str
    experiment_id: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    ask: bool = False
    finish: bool = False
    shown: Mapping[str, float | None] = field(default_factory=dict)

    def item(self) -> dict[str, Any]:
        wanted = [{"VariantName": variant, "DesiredWeight": weight} for variant, weight in sorted(self.weights.items())]
        return {
            "decision": self.decision,
            "reason": self.reason,
            "experiment_id": self.experiment_id,
            "weights": wanted,
            "reweigh": bool(wanted),
            "check_next_run": self.ask,
            "finish": self.finish,
        }


class Ticker:
    """Looks at one deployment's experiment. clients: sagemaker, cloudwatch and events."""

    def __init__(self, table: Table, clients: Mapping[str, Any], settings: Settings) -> None:
        self._table = table
        self._clients = clients
        self._settings = settings

    def tick(self, asked: Asked, now: float) -> Answer:
        """One tick; TickUnderWay when another one is at work and this one has something to say."""
        router = self._router()
        if router is None:
            return Answer("continue", "no model has been deployed yet")
        if not router.experiment_is_open:
            return self._steady(router, now)
        lease = Lease(self._table, router.experiment_id, asked.holder)
        try:
            lease.take(now)
        except TickUnderWay as busy:
            if asked.is_urgent:
                raise
            return Answer("continue", str(busy))
        try:
            return self._look_at(router.experiment_id, asked, now)
        finally:
            lease.give_back()

    def _router(self) -> Router | None:
        try:
            router = read_router(self._table)
        except (KeyError, TypeError) as error:
            raise RouterUnreadable(f"the router was edited by hand: it lacks {error}; restore the item") from error
        if router is not None and not isinstance(router.version, int):
            raise RouterUnreadable(f"the router's version is {router.version!r}, no whole number; restore the item")
        return router

    def _steady(self, router: Router, now: float) -> Answer:
        standing = self._endpoint()
        found = idle.look(self._table, router, self._holds, now)
        router = found.router
        weights = router.weights if standing.needs(router.weights) else {}
        if found.experiment_id:
            ask = bool(found.side_effects.get("check_next_run"))
            return Answer(found.decision, found.reason, found.experiment_id, weights, ask, finish=True)
        if not weights and not standing.busy:
            schedule.disable(self._clients["events"], self._settings.shift_rule_name, self._table)
        return Answer("continue", found.reason, weights=weights)

    def _look_at(self, experiment_id: str, asked: Asked, now: float) -> Answer:
        """An open experiment, under its lease: the router and all else are read again, as the last tick left them."""
        router = self._router()
        if router is None or router.experiment_id != experiment_id:
            return Answer("continue", "the experiment was closed meanwhile")
        try:
            meta = read_meta(self._table, experiment_id, now)
        except ShiftError as error:
            return self._without_record(router, str(error), now)
        if meta is None:
            return self._without_record(router, f"the record of experiment {experiment_id} is gone", now)
        return self._with_record(router, meta, asked, now)

    def _without_record(self, router: Router, reason: str, now: float) -> Answer:
        """Nobody knows any more who is compared with whom: the champion serves, and the experiment is over."""
        kept = Kept.read(self._table, router.experiment_id)
        step = idle.abandoned(router, reason, int(now))
        Book(self._table, router.experiment_id, None).write(
            kept, Change(router, step, {"side_effects": dict(step.side_effects)}), now
        )
        return self._answer(
            router.experiment_id, (step.decision, reason), step.router, step.side_effects, self._endpoint()
        )

    def _with_record(self, router: Router, meta: Meta, asked: Asked, now: float) -> Answer:
        scene = self._scene(router, meta, now)
        answered = 0
        for order in operator_commands.waiting(self._table, meta.experiment_id)[:MOST_ORDERS]:
            if not scene.router.experiment_is_open:
                break
            answered += self._obey(scene, order)
            scene = self._scene(self._router() or router, read_meta(self._table, meta.experiment_id, now) or meta, now)
        if not answered and scene.router.experiment_is_open:
            ruling, notes = self._rule(scene, asked)
            self._write(scene, ruling, notes)
            step = ruling.step
            side_effects = step.side_effects or scene.kept.side_effects
            answer = self._answer(
                meta.experiment_id, (step.decision, step.reason), step.router, side_effects, scene.endpoint
            )
            weights = meta.by_role(step.router.weights)
            return replace(answer, shown={**step.numbers, **weights, "join_rate": notes["join_rate"]})
        summary = scene.kept.summary
        said = (str(summary.get("decision", "continue")), str(summary.get("reason", "")))
        return self._answer(meta.experiment_id, said, scene.router, scene.kept.side_effects, scene.endpoint)

    def _scene(self, router: Router, meta: Meta, now: float) -> Scene:
        kept = Kept.read(self._table, meta.experiment_id)
        evidence, unreadable = None, ""
        try:
            evidence = Evidence.read(meta.preset, kept.evidence, kept.revision)
        except ShiftError as error:
            unreadable = str(error)
        return Scene(router, meta, kept, self._endpoint(), evidence, unreadable, now)

    def _obey(self, scene: Scene, order: operator_commands.Order) -> int:
        """1 when it was obeyed."""
        healing = rulings.edited(scene)
        if healing is not None and order.action != "roll_back":
            return 0
        try:
            ruling = rulings.obey(scene, order)
        except Refused as refusal:
            Book(self._table, scene.meta.experiment_id, scene.meta).refuse(order.sk, str(refusal))
            return 0
        if healing is not None:
            router = replace(ruling.step.router, version=healing.step.router.version)
            ruling = replace(ruling, step=replace(ruling.step, router=router), void=healing.void)
        self._write(scene, ruling, {}, order.sk)
        return 1

    def _rule(self, scene: Scene, asked: Asked) -> tuple[Ruling, dict[str, Any]]:
        """The first ruling that applies; what the summary says beside it."""
        notes: dict[str, Any] = {"endpoint": scene.endpoint.trouble or scene.endpoint.status or "none"}
        notes["join_rate"] = None
        notes |= {name: scene.kept.summary[name] for name in _KEPT_NOTES if name in scene.kept.summary}
        first = rulings.edited(scene) or (rulings.alarmed(scene, asked.alarm) if asked.alarm else None)
        first = first or rulings.unreadable(scene)
        if first is not None:
            return first, notes
        if scene.evidence is None:
            reason = scene.unreadable
            return (rulings.baked(scene) if scene.bake_is_over else rulings.nothing(scene, reason)), notes
        minutes = self._minutes(scene, notes)
        watched = rulings.watched(scene, minutes)
        if watched.step.router is not scene.router:
            return watched, notes
        scene = rulings.seen(scene, watched)
        if scene.bake_is_over:
            return rulings.baked(scene), notes
        if not scene.epoch_is_over:
            return rulings.troubled(scene) or watched, notes
        due = Strata(self._table, scene.meta).due(scene.kept.cursor, scene.now)
        self._read_metrics(scene, notes)
        doubt = rulings.doubt(notes["join_rate"], notes.get("blind", ""))
        return rulings.closed(scene, due, doubt), notes

    def _minutes(self, scene: Scene, notes: dict[str, Any]) -> list[Answers]:
        assert scene.evidence is not None  # noqa: S101 - the caller's order
        due = calendar.periods(scene.meta, scene.evidence.last_minute, scene.now, MOST_PERIODS)
        try:
            return self._metrics(scene).answers(due)
        except (ClientError, BotoCoreError) as error:
            notes["blind"] = f"CloudWatch could not be read: {str(error)[:300]}"
            logger.warning("blind", extra={"reason": notes["blind"]})
            return []

    def _read_metrics(self, scene: Scene, notes: dict[str, Any]) -> None:
        """What an epoch's close needs of CloudWatch, and what is shown beside it."""
        metrics = self._metrics(scene)
        try:
            notes["join_rate"] = metrics.join_rate(scene.now)
            if scene.endpoint.status:
                notes["variants"] = metrics.variants(self._settings.endpoint_name, scene.now)
        except (ClientError, BotoCoreError) as error:
            notes["blind"] = f"CloudWatch could not be read: {str(error)[:300]}"

    def _metrics(self, scene: Scene) -> Metrics:
        return Metrics(self._clients["cloudwatch"], scene.meta)

    def _write(self, scene: Scene, ruling: Ruling, notes: Mapping[str, Any], order: str = "") -> None:
        fields = dict(ruling.fields)
        if ruling.evidence is not None:
            fields["evidence"] = ruling.evidence.item()
        if ruling.step.side_effects:
            fields["side_effects"] = dict(ruling.step.side_effects)
        if scene.kept.trouble and not scene.endpoint.trouble and not scene.endpoint.needs(scene.router.weights):
            fields["endpoint_problem"] = None
        change = Change(scene.router, ruling.step, fields, ruling.void, order, notes)
        Book(self._table, scene.meta.experiment_id, scene.meta).write(scene.kept, change, scene.now)

    def _holds(self, variant: str, run_id: str) -> str:
        if self._settings.serving_backend == "function":
            return ""  # it loads the bundle that the router names
        return endpoint.holds(self._clients["sagemaker"], self._settings.endpoint_name, variant, run_id)

    def _endpoint(self) -> endpoint.Standing:
        if self._settings.serving_backend == "function":
            return endpoint.NONE
        return endpoint.look(self._clients["sagemaker"], self._settings.endpoint_name)

    def _answer(
        self,
        experiment_id: str,
        said: tuple[str, str],
        router: Router,
        side_effects: Mapping[str, Any],
        standing: endpoint.Standing,
    ) -> Answer:
        """said: decision and reason."""
        weights = router.weights if standing.needs(router.weights) else {}
        ask = bool(side_effects.get("check_next_run"))
        return Answer(*said, experiment_id, weights, ask, finish=bool(side_effects))
