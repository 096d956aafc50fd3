"""A simulated experiment for the terminal and as one HTML page: share, evidence, lift, decisions; a plan as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.experiments.charts import Course
from cli.experiments.records import Experiment
from cli.formatting.charts import Chart, svg
from cli.formatting.pages import document, pairs, table, text
from cli.formatting.terminal import COLOURS, bar, e_value, interval, lift_text
from cli.simulation.monte_carlo import Forecast, Plan
from cli.simulation.one_experiment import DecisionPoint
from usher.experiments.stats.presets import Preset


def frame(point: DecisionPoint, preset: Preset) -> RenderableType:
    """The state of the experiment at a decision, as a panel."""
    decision = point.decision
    rows = Table.grid(padding=(0, 2))
    rows.add_row("time", bar(point.hours / preset.horizon_hours), f"{point.hours:g} of {preset.horizon_hours:g} h")
    rows.add_row("share", bar(decision.weight), f"{decision.weight:.0%} of new users see the challenger")
    for label, name, alpha in (
        ("better", "log_e_promote", preset.alpha_anytime),
        ("worse", "log_e_harm", preset.alpha_harm),
    ):
        log_e = point.number(name)
        if not math.isnan(log_e):
            rows.add_row(label, bar(log_e / -math.log(alpha)), f"e-value {e_value(log_e)}, decides at {1 / alpha:g}")
    lift = [point.number(name) for name in ("lift_low", "lift", "lift_high")]
    rows.add_row("lift", interval(*lift), f"{lift_text(*lift)}; true lift {point.true_lift:+.1%}")
    colour = COLOURS.get(decision.decision, "cyan")
    verdict = Text.assemble((decision.decision.replace("_", " "), f"bold {colour}"), ": ", decision.reason)
    return Panel(Group(rows, Text(), verdict), title="champion and challenger", width=100)


def line(point: DecisionPoint) -> str:
    """A decision in one line, for output that is not a terminal."""
    decision = point.decision
    return (
        f"{point.hours:8.2f} h  share {decision.weight:4.0%}  {decision.decision.replace('_', ' ')}: {decision.reason}"
    )


def plan_tables(planned: Plan, chosen: str) -> list[Table]:
    return [
        _table("This lift, by preset", "preset", planned.presets),
        _table(f"Other lifts, preset {chosen}", "true lift", planned.lifts),
    ]


def _table(title: str, first: str, rows: tuple[Forecast, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in ("promoted", "retired", "undecided", "median h", "mean h", "users", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.label,
            f"{row.promoted:.1%} ±{100 * row.promoted_error:.1f}",
            f"{row.retired:.1%}",
            f"{row.undecided:.1%}",
            f"{row.median_hours:,.1f}",
            f"{row.mean_hours:,.1f}",
            f"{row.users:,.0f}",
            f"{row.lost:,.0f}",
        )
    return table


def page(title: str, settings: Sequence[tuple[str, str]], preset: Preset, history: Sequence[DecisionPoint]) -> str:
    """The page; history has at least one decision point."""
    last = history[-1]
    verdict = f"{last.decision.decision.replace('_', ' ')} after {last.hours:g} h: {last.decision.reason}"
    figures = "".join(svg(chart) for chart in charts(preset, history))
    return document(
        title,
        f"<h1>{text(title)}</h1><p class=verdict>{text(verdict)}</p>{figures}"
        f"<h2>Decisions that changed something</h2>{_decisions(history)}"
        f"<h2>The simulated world</h2>{pairs(settings)}",
    )


def charts(preset: Preset, history: Sequence[DecisionPoint]) -> list[Chart]:
    """The charts of an experiment, with the true lift."""
    decisions = [
        {
            "at": 3600 * point.hours,
            "numbers": point.decision.numbers,
            "weights_before": {"challenger": point.decision.weight_before},
            "weights_after": {"challenger": point.decision.weight},
        }
        for point in history
    ]
    course = Course(Experiment("simulated", {"started_at": 0}, decisions=decisions))
    drawn = (
        course.weights(),
        course.evidence(preset),
        course.lift([point.true_lift for point in history]),
        course.scores(),
    )
    return [chart for chart in drawn if chart is not None]


def _decisions(history: Sequence[DecisionPoint]) -> str:
    rows = [
        (
            f"{point.hours:g} h",
            point.decision.decision.replace("_", " "),
            f"{point.decision.weight:.0%}",
            point.decision.reason,
        )
        for point in changes(history)
    ]
    return table(("after", "decision", "share", "reason"), rows)


def changes(history: Sequence[DecisionPoint]) -> list[DecisionPoint]:
    """Decisions that moved the share by 5 %, changed the kind of decision, or ended the experiment; at most 40."""
    selected: list[DecisionPoint] = []
    for point in history:
        before = selected[-1].decision if selected else None
        moved = before is None or abs(point.decision.weight - before.weight) >= 0.05
        if moved or (before and point.decision.decision != before.decision) or point is history[-1]:
            selected.append(point)
    return selected if len(selected) <= 40 else [*selected[:20], *selected[-20:]]
