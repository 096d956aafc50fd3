"""An experiment as one self-contained HTML page: charts, decisions, operator commands, strata."""

from __future__ import annotations

import math
import time

from cli.experiments import presentation
from cli.experiments.charts import charts
from cli.experiments.presentation import count, percent
from cli.experiments.records import Experiment, Item, clock, moment_of, number
from cli.formatting.charts import svg
from cli.formatting.pages import document, table, text
from cli.formatting.terminal import e_value, lift_text
from usher.experiments.decisions import JOIN_RATE_MIN
from usher.experiments.stats.presets import Preset
from usher.store.router import Router

#: A page with more decisions lists only the first and the newest.
DECISIONS_MAX = 200


def page(experiment: Experiment, router: Router | None) -> str:
    """The whole page. Foreign text (reasons, names) is escaped; the page loads nothing."""
    preset = presentation.preset_of(experiment)
    title = f"Experiment {experiment.experiment_id}"
    state = presentation.state_of(experiment, router)
    parts = [
        f"<h1>{text(title)}</h1>",
        f"<p class=soft>{text(state)} · preset {text(experiment.meta.get('preset', '?'))} · "
        f"{text(presentation.age(experiment, time.time()))}</p>",
        f"<p class=verdict>{text(presentation.verdict(experiment))}</p>",
        *(f"<p class=bad>{text(said)}</p>" for said in presentation.warnings(experiment)),
        _roles(experiment, router),
        _tests(experiment, preset),
        "<h2>Course</h2>",
        *(svg(chart) for chart in charts(experiment, preset)),
        _decisions(experiment),
        _commands(experiment),
        _strata(experiment),
    ]
    return document(f"Usher: {title}", "".join(parts))


def _roles(experiment: Experiment, router: Router | None) -> str:
    rows = [
        (
            role.name,
            role.variant,
            role.model,
            percent(role.weight),
            count(role.users),
            count(role.conversions),
            percent(role.rate, 2),
        )
        for role in presentation.roles(experiment, router)
    ]
    return table(("role", "variant", "model", "weight", "users", "outcomes", "rate"), rows, (3, 4, 5, 6))


def _tests(experiment: Experiment, preset: Preset | None) -> str:
    rows = []
    for gauge in presentation.gauges(experiment, preset):
        limit = "" if math.isnan(gauge.limit) else f"{gauge.decides} at {e_value(gauge.limit)}"
        rows.append((gauge.name, f"e-value {e_value(gauge.log_e)}", limit))
    lift, joined = presentation.lift_of(experiment.numbers), presentation.join_rate(experiment)
    if "lift" in experiment.numbers:
        rows.append(("lift", lift_text(*lift), "95 % confidence sequence"))
    if not math.isnan(joined):
        rows.append(("join rate", percent(joined), f"nothing is promoted below {JOIN_RATE_MIN:.0%}"))
    return table(("test", "now", ""), rows) if rows else ""


def _decisions(experiment: Experiment) -> str:
    newest = list(reversed(experiment.decisions))
    left = len(newest) - DECISIONS_MAX
    if left > 0:
        newest = [*newest[: DECISIONS_MAX // 2], *newest[-DECISIONS_MAX // 2 :]]
    note = f"<p class=soft>{left} decisions in the middle are left out.</p>" if left > 0 else ""
    rows = [_decision(experiment, item) for item in newest]
    heads = ("at (UTC)", "after", "decision", "share", "reason")
    return f"<h2>Decisions, newest first</h2>{note}{table(heads, rows, (3,))}" if rows else ""


def _decision(experiment: Experiment, item: Item) -> tuple[str, ...]:
    said, _, reason = presentation.decision_line(item).partition(": ")
    at = moment_of(item)
    return (
        clock(at),
        presentation.hours_text(experiment.hours(at)).replace(" ", "\u00a0"),
        said,
        percent(experiment.share(item)),
        reason,
    )


def _commands(experiment: Experiment) -> str:
    rows = [
        (
            clock(moment_of(item)),
            str(item.get("action", "?")).replace("_", " "),
            *(item.get(key, "") for key in ("operator", "why", "status")),
        )
        for item in reversed(experiment.commands)
    ]
    return (
        f"<h2>Operator commands</h2>{table(('sent (UTC)', 'command', 'operator', 'why', 'status'), rows)}"
        if rows
        else ""
    )


def _strata(experiment: Experiment) -> str:
    rows = []
    for item in experiment.strata:
        users = [presentation.counted(item, role) for role in ("champion", "challenger")]
        version = str(item.get("sk", "")).partition("#")[2].lstrip("0")
        cells = [cell for n, c in users for cell in (count(n), count(c))]
        rows.append((version, clock(number(item, "opened_at")), percent(experiment.share(item)), *cells))
    heads = ("router", "from (UTC)", "share", "champion", "outcomes", "challenger", "outcomes")
    body = table(heads, rows, (2, 3, 4, 5, 6))
    return (
        f"<h2>Strata</h2><details><summary>{len(rows)} strata, as they were counted</summary>{body}</details>"
        if rows
        else ""
    )
