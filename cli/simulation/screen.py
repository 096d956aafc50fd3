"""An experiment in the terminal: share, evidence and lift as they move, and a plan as two tables."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.formatting.terminal import COLOURS, bar, e_value, interval, lift_text
from cli.simulation.plan import Forecast, Plan
from cli.simulation.single import Step
from usher.experiments.stats.presets import Preset


def frame(step: Step, preset: Preset) -> RenderableType:
    """What is known at a step."""
    decision = step.decision
    rows = Table.grid(padding=(0, 2))
    rows.add_row("time", bar(step.hours / preset.horizon_hours), f"{step.hours:g} of {preset.horizon_hours:g} h")
    rows.add_row("share", bar(decision.weight), f"{decision.weight:.0%} of new users see the challenger")
    for label, name, alpha in (
        ("better", "log_e_promote", preset.alpha_anytime),
        ("worse", "log_e_harm", preset.alpha_harm),
    ):
        log_e = step.number(name)
        if not math.isnan(log_e):
            rows.add_row(label, bar(log_e / -math.log(alpha)), f"e-value {e_value(log_e)}, decides at {1 / alpha:g}")
    lift = [step.number(name) for name in ("lift_low", "lift", "lift_high")]
    rows.add_row("lift", interval(*lift), f"{lift_text(*lift)}; in truth {step.true_lift:+.1%}")
    colour = COLOURS.get(decision.decision, "cyan")
    verdict = Text.assemble((decision.decision.replace("_", " "), f"bold {colour}"), ": ", decision.reason)
    return Panel(Group(rows, Text(), verdict), title="champion and challenger", width=100)


def line(step: Step) -> str:
    """A step in one line, where there is no terminal."""
    decision = step.decision
    return (
        f"{step.hours:8.2f} h  share {decision.weight:4.0%}  {decision.decision.replace('_', ' ')}: {decision.reason}"
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
