"""One tick of the experiment controller: load what is stored, decide, commit; the workflow does what remains.

No tick depends on the one before having ended well. A decision changes the state table in one transaction; the endpoint
is compared with the router by every tick; side effects stay in STATE until they are completed; and the schedule is only
stopped by a tick that finds no open experiment, no pending side effect, and the endpoint in line with the router.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from usher.errors import RouterUnreadable, TickUnderWay
from usher.experiments import decisions, endpoint, metrics, operator_commands, side_effects, transitions
from usher.experiments.decisions import Decision, TickContext
from usher.experiments.evidence import Evidence
from usher.experiments.idle import idle_tick
from usher.experiments.stats.codec import StateError
from usher.experiments.stats.decisions import Minute
from usher.experiments.stats.presets import PresetError
from usher.experiments.strata import StratumCounter
from usher.experiments.tick import TickRequest, TickResult
from usher.schema.settings import Settings
from usher.store.experiment_state import ExperimentState, ExperimentStore, StateChange, TickLease
from usher.store.experiments import InvalidExperiment, Meta, read_meta
from usher.store.operator_commands import OperatorCommand, waiting_commands
from usher.store.router import Router, read_router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

logger = Logger(child=True)

#: Periods of metrics that one tick reads; after a pause the next ticks read the rest.
MOST_PERIODS = 240
#: Commands that one tick answers; the next ticks answer the rest.
MOST_COMMANDS = 10
#: What the summary keeps from one epoch's close to the next.
_KEPT_NOTES = ("join_rate", "variants")


class ExperimentController:
    """Controls one deployment's experiment. clients: sagemaker, cloudwatch and events."""

    def __init__(self, table: Table, clients: Mapping[str, Any], settings: Settings) -> None:
        self._table = table
        self._clients = clients
        self._settings = settings

    def tick(self, request: TickRequest, now: float) -> TickResult:
        """One tick; TickUnderWay when another one is in progress and this one was started by an alarm or a command."""
        router = self._router()
        if router is None:
            return TickResult("continue", "no model has been deployed yet")
        if not router.experiment_is_open:
            return self._idle(router, now)
        lease = TickLease(self._table, router.experiment_id, request.holder)
        try:
            lease.take(now)
        except TickUnderWay as busy:
            if request.is_urgent:
                raise
            return TickResult("continue", str(busy))
        try:
            return self._open(router.experiment_id, request, now)
        finally:
            lease.release()

    def _router(self) -> Router | None:
        router = read_router(self._table)
        if router is not None and not isinstance(router.version, int):
            raise RouterUnreadable(f"the router's version is {router.version!r}, not a whole number; restore the item")
        return router

    def _idle(self, router: Router, now: float) -> TickResult:
        """No experiment is open."""
        status = self._endpoint()
        done = idle_tick(self._table, router, self._model_mismatch, now)
        weights = done.router.weights if status.needs(done.router.weights) else {}
        if not done.result.experiment_id and not weights and not status.busy:
            side_effects.disable_schedule(self._clients["events"], self._settings.shift_rule_name, self._table)
        return replace(done.result, weights=weights)

    def _open(self, experiment_id: str, request: TickRequest, now: float) -> TickResult:
        """An open experiment, under its lease: everything is read again, as the last tick left it."""
        router = self._router()
        if router is None or router.experiment_id != experiment_id:
            return TickResult("continue", f"experiment {experiment_id} was closed meanwhile")
        try:
            meta = read_meta(self._table, experiment_id, now)
        except InvalidExperiment as error:
            return self._abandon(router, str(error), now)
        if meta is None:
            return self._abandon(router, f"the record of experiment {experiment_id} was deleted", now)
        return self._with_record(router, meta, request, now)

    def _abandon(self, router: Router, reason: str, now: float) -> TickResult:
        """Without its record the experiment cannot go on: the champion serves, and the experiment is closed."""
        experiment_id = router.experiment_id
        state = ExperimentState.read(self._table, experiment_id)
        made = transitions.abandon(router, reason, int(now))
        change = StateChange(router, made, {"side_effects": dict(made.side_effects)})
        ExperimentStore(self._table, experiment_id, None).write(state, change, now)
        result = TickResult(made.decision, made.reason, experiment_id, side_effects=made.side_effects)
        return self._with_weights(result, made.router, self._endpoint())

    def _with_record(self, router: Router, meta: Meta, request: TickRequest, now: float) -> TickResult:
        experiment_id = meta.experiment_id
        context = self._context(router, meta, now)
        executed = 0
        for command in waiting_commands(self._table, experiment_id)[:MOST_COMMANDS]:
            if not context.router.experiment_is_open:
                break
            executed += self._execute(context, command)
            meta = read_meta(self._table, experiment_id, now) or meta
            context = self._context(self._router() or router, meta, now)
        if executed or not context.router.experiment_is_open:
            summary = context.state.summary
            decision, reason = str(summary.get("decision", "continue")), str(summary.get("reason", ""))
            result = TickResult(decision, reason, experiment_id, side_effects=context.state.side_effects)
            return self._with_weights(result, context.router, context.endpoint)
        decided, notes = self._decide(context, request)
        self._commit(context, decided, notes)
        made = decided.transition
        pending = made.side_effects or context.state.side_effects
        numbers = {**made.numbers, **meta.by_role(made.router.weights), "join_rate": notes["join_rate"]}
        result = TickResult(made.decision, made.reason, experiment_id, side_effects=pending, numbers=numbers)
        return self._with_weights(result, made.router, context.endpoint)

    def _context(self, router: Router, meta: Meta, now: float) -> TickContext:
        state = ExperimentState.read(self._table, meta.experiment_id)
        evidence, problem = None, ""
        try:
            evidence = Evidence.read(meta.preset, state.evidence, state.revision)
        except (StateError, PresetError) as error:
            problem = str(error)
        return TickContext(router, meta, state, self._endpoint(), evidence, problem, now)

    def _execute(self, context: TickContext, command: OperatorCommand) -> int:
        """1 when the command was executed."""
        repair = decisions.repair_router(context)
        if repair is not None and command.action != "roll_back":
            return 0
        try:
            decision = operator_commands.execute(context, command)
        except operator_commands.CommandRefused as refusal:
            store = ExperimentStore(self._table, context.meta.experiment_id, context.meta)
            store.refuse_command(command.sk, str(refusal))
            return 0
        if repair is not None:
            router = replace(decision.transition.router, version=repair.transition.router.version)
            decision = replace(decision, transition=replace(decision.transition, router=router), void=repair.void)
        self._commit(context, decision, {}, command.sk)
        return 1

    def _decide(self, context: TickContext, request: TickRequest) -> tuple[Decision, dict[str, Any]]:
        """The first decision that applies, and notes for the summary."""
        notes: dict[str, Any] = {"endpoint": context.endpoint.problem or context.endpoint.status or "none"}
        notes["join_rate"] = None
        notes |= {name: context.state.summary[name] for name in _KEPT_NOTES if name in context.state.summary}
        first = decisions.repair_router(context)
        first = first or (decisions.on_alarm(context, request.alarm) if request.alarm else None)
        first = first or decisions.freeze_unreadable(context)
        if first is not None:
            return first, notes
        if context.evidence is None:
            unreadable = decisions.no_change(context, context.evidence_problem)
            return (decisions.complete_bake(context) if context.bake_is_over else unreadable), notes
        checked = decisions.check_guardrails(context, self._minutes(context, context.evidence.last_minute, notes))
        if checked.transition.router is not context.router:
            return checked, notes
        context = replace(context, evidence=checked.evidence)
        if context.bake_is_over:
            return decisions.complete_bake(context), notes
        if not context.epoch_is_over:
            return decisions.on_endpoint_problem(context) or checked, notes
        due = StratumCounter(self._table, context.meta).due(context.state.cursor, context.now)
        self._read_metrics(context, notes)
        doubt = decisions.promotion_doubt(notes["join_rate"], notes.get("blind", ""))
        return decisions.close_epoch(context, due, doubt), notes

    def _minutes(self, context: TickContext, last_minute: int, notes: dict[str, Any]) -> list[Minute]:
        due = metrics.periods(context.meta, last_minute, context.now, MOST_PERIODS)
        try:
            return self._metrics(context).minutes(due)
        except (ClientError, BotoCoreError) as error:
            notes["blind"] = f"CloudWatch could not be read: {str(error)[:300]}"
            logger.warning("metrics unreadable", extra={"reason": notes["blind"]})
            return []

    def _read_metrics(self, context: TickContext, notes: dict[str, Any]) -> None:
        """The join rate, which the close of an epoch needs, and SageMaker's metrics for the summary."""
        reader = self._metrics(context)
        try:
            notes["join_rate"] = reader.join_rate(context.now)
            if context.endpoint.status:
                notes["variants"] = reader.variants(self._settings.endpoint_name, context.now)
        except (ClientError, BotoCoreError) as error:
            notes["blind"] = f"CloudWatch could not be read: {str(error)[:300]}"

    def _metrics(self, context: TickContext) -> metrics.Metrics:
        return metrics.Metrics(self._clients["cloudwatch"], context.meta)

    def _commit(self, context: TickContext, decision: Decision, notes: Mapping[str, Any], command: str = "") -> None:
        fields = dict(decision.fields)
        if decision.evidence is not None:
            fields["evidence"] = decision.evidence.item()
        if decision.transition.side_effects:
            fields["side_effects"] = dict(decision.transition.side_effects)
        in_line = not context.endpoint.problem and not context.endpoint.needs(context.router.weights)
        if context.state.endpoint_problem and in_line:
            fields["endpoint_problem"] = None
        change = StateChange(context.router, decision.transition, fields, decision.void, command, notes)
        ExperimentStore(self._table, context.meta.experiment_id, context.meta).write(context.state, change, context.now)

    def _model_mismatch(self, variant: str, run_id: str) -> str:
        if self._settings.serving_backend == "function":
            return ""  # it loads the bundle that the router names
        return endpoint.model_mismatch(self._clients["sagemaker"], self._settings.endpoint_name, variant, run_id)

    def _endpoint(self) -> endpoint.EndpointStatus:
        if self._settings.serving_backend == "function":
            return endpoint.NO_ENDPOINT
        return endpoint.describe(self._clients["sagemaker"], self._settings.endpoint_name)

    @staticmethod
    def _with_weights(result: TickResult, router: Router, status: endpoint.EndpointStatus) -> TickResult:
        return replace(result, weights=router.weights if status.needs(router.weights) else {})
