"""An experiment in the terminal: roles, share, evidence, guardrails, variants, decisions, operator commands."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.experiments import presentation
from cli.experiments.presentation import count, percent
from cli.experiments.records import Experiment, Item, clock, moment_of
from cli.experiments.variant_metrics import COUNTS, Variant
from cli.formatting.terminal import COLOURS, bar, e_value, interval, lift_text, make_table, printable
from usher.experiments.decisions import JOIN_RATE_MIN
from usher.store.router import Router

_STATES = {"testing": "cyan", "frozen": "yellow", "baking": "green", "idle": "green", "closed": "green"}


def whole(
    experiment: Experiment, router: Router | None, variants: Sequence[Variant], alarms: Sequence[str], decisions: int
) -> RenderableType:
    """The whole view. alarms: names of those in alarm. decisions: the number to list, newest first."""
    parts: list[RenderableType] = [head(experiment, router), *_alarms(alarms)]
    parts += [_roles(experiment, router), _evidence(experiment, router)]
    if variants:
        parts.append(_variants(variants))
    if experiment.decisions and decisions:
        parts.append(_decisions(experiment, decisions))
    if experiment.commands:
        parts.append(_commands(experiment.commands))
    return Group(*parts)


def head(experiment: Experiment, router: Router | None) -> RenderableType:
    """Name, state, age, and the newest reason."""
    state = presentation.state_of(experiment, router)
    style = _STATES.get(state.partition(":")[0], "")
    preset = printable(str(experiment.meta.get("preset", "?")))
    first = Text.assemble(
        (printable(experiment.experiment_id), "bold"), "  ", (printable(state), style), f"  preset {preset}, "
    )
    first.append(presentation.age(experiment, time.time()))
    warnings = [Text(f"! {printable(said)}", style="yellow") for said in presentation.warnings(experiment)]
    return Group(first, Text(printable(presentation.verdict(experiment))), *warnings)


def serving(router: Router | None, alarms: Sequence[str]) -> RenderableType:
    """The serving model, shown before the first experiment."""
    if router is None:
        return Text("No model serves yet: the first successful run deploys one (`usher runs`).")
    model = router.models[router.champion]
    return Group(
        Text.assemble("Model ", (printable(model), "bold"), f" serves from variant {router.champion}, "),
        Text(f"since {clock(router.opened_at)} UTC (router version {router.version}, {router.state})."),
        Text("There has been no experiment: one opens when a run deploys a challenger."),
        *_alarms(alarms),
    )


def _alarms(alarms: Sequence[str]) -> list[RenderableType]:
    return [Text(f"! alarm {printable(name)}: see docs/operations.md", style="red") for name in alarms]


def line(experiment: Experiment, router: Router | None) -> str:
    """The experiment in one line, for output without a terminal."""
    challenger = experiment.weights(router)["challenger"]
    state, verdict = presentation.state_of(experiment, router), presentation.verdict(experiment)
    return printable(f"{experiment.experiment_id}  {state}  share {percent(challenger)}  {verdict}")


def _roles(experiment: Experiment, router: Router | None) -> Table:
    table = make_table(("role", "variant", "model", "weight", "users", "outcomes", "rate"), right=("weight", "users"))
    for role in presentation.roles(experiment, router):
        table.add_row(
            Text(role.name, style="bold"),
            printable(role.variant),
            Text(printable(role.model)),
            percent(role.weight),
            count(role.users),
            count(role.conversions),
            percent(role.rate, 2),
        )
    return table


def _evidence(experiment: Experiment, router: Router | None) -> Table:
    rows = Table.grid(padding=(0, 2))
    challenger = experiment.weights(router)["challenger"]
    rows.add_row("share", bar(challenger), f"{percent(challenger)} of new users see the challenger{_stage(experiment)}")
    for gauge in presentation.gauges(experiment, presentation.preset_of(experiment)):
        limit = "" if math.isnan(gauge.limit) else f", {gauge.decides} at {e_value(gauge.limit)}"
        rows.add_row(gauge.name, bar(gauge.progress), f"e-value {e_value(gauge.log_e)}{limit}")
    z, bound = (experiment.numbers.get(name) for name in ("z", "bound"))
    if isinstance(z, int | float):
        looked = (
            f", promotes at {bound:.2f}"
            if isinstance(bound, int | float)
            else ", its bound is set at the next scheduled look"
        )
        rows.add_row(
            "score", bar(z / bound if isinstance(bound, int | float) and bound else math.nan), f"z {z:.2f}{looked}"
        )
    lift = presentation.lift_of(experiment.numbers)
    if not all(math.isnan(end) for end in lift):
        rows.add_row("lift", interval(*lift), f"{lift_text(*lift)}, 95 % confidence sequence")
    joined = presentation.join_rate(experiment)
    if not math.isnan(joined):
        needed = f"{JOIN_RATE_MIN:.0%} are required"
        rows.add_row("join rate", bar(joined), f"{percent(joined)} of outcomes name their recommendation, {needed}")
    return rows


def _stage(experiment: Experiment) -> str:
    stage = experiment.numbers.get("weight_stage")
    return f" (stage {stage:g})" if isinstance(stage, int | float) else ""


def _variants(variants: Sequence[Variant]) -> Table:
    heads = ("variant", "requests", "errors", "slow", "empty", "invocations", "5xx", "p99 ms", "endpoint weight")
    table = make_table(heads, right=heads[1:])
    for variant in variants:
        own = [variant.counts.get(name, math.nan) for name in COUNTS]
        calls = [variant.counts.get(name, math.nan) for name in ("Invocations", "Invocation5XXErrors")]
        table.add_row(
            variant.name,
            *(count(value) for value in (*own, *calls)),
            "–" if variant.p99_milliseconds is None else f"{variant.p99_milliseconds:,.0f}",
            variant.endpoint_status if variant.weight is None else percent(variant.weight),
        )
    return table


def _decisions(experiment: Experiment, limit: int) -> Table:
    table = make_table(("decided (UTC)", "decision", "share", "reason"), right=("share",))
    for item in list(reversed(experiment.decisions))[:limit]:
        name = str(item.get("decision", "?"))
        table.add_row(
            clock(moment_of(item)),
            Text(printable(name.replace("_", " ")), style=COLOURS.get(name, "")),
            percent(experiment.share(item)),
            Text(_reason(item)),
        )
    return table


def _reason(item: Item) -> str:
    return presentation.decision_line(item).partition(": ")[2]


def _commands(commands: Sequence[Item]) -> Table:
    table = make_table(("sent (UTC)", "command", "operator", "why", "status"))
    for item in reversed(commands):
        cells = [str(item.get("action", "")).replace("_", " ")]
        cells += [str(item.get(name, "")) for name in ("operator", "why", "status")]
        table.add_row(clock(moment_of(item)), *(Text(printable(cell)) for cell in cells))
    return table
