"""An experiment as one HTML page that needs nothing else: its weights, evidence, looks and decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cli.formatting.charts import Chart, Line, svg
from cli.formatting.pages import document, pairs, table, text
from cli.simulation.single import Step
from usher.experiments.stats.presets import Preset


def page(title: str, settings: Sequence[tuple[str, str]], preset: Preset, history: Sequence[Step]) -> str:
    """The whole page; history: one step or more."""
    last = history[-1]
    verdict = f"{last.decision.decision.replace('_', ' ')} after {last.hours:g} h: {last.decision.reason}"
    figures = "".join(svg(chart) for chart in charts(preset, history))
    return document(
        title,
        f"<h1>{text(title)}</h1><p class=verdict>{text(verdict)}</p>{figures}"
        f"<h2>Decisions that changed something</h2>{_decisions(history)}"
        f"<h2>The simulated world</h2>{pairs(settings)}",
    )


def charts(preset: Preset, history: Sequence[Step]) -> list[Chart]:
    hours = [step.hours for step in history]
    x_max = max(hours[-1], preset.horizon_hours / 50)
    return [_weights(history, hours, x_max), _evidence(preset, history, hours, x_max), *_lift(history, hours, x_max)]


def _weights(history: Sequence[Step], hours: list[float], x_max: float) -> Chart:
    weights = [history[0].decision.weight_before, *(step.decision.weight for step in history)]
    line = Line("challenger", [0.0, *hours], weights, "b", steps=True)
    return Chart("The challenger's share of new users", x_max, 0.0, 1.0, [line], percent=True)


def _evidence(preset: Preset, history: Sequence[Step], hours: list[float], x_max: float) -> Chart:
    ten = math.log(10)
    better = [step.number("log_e_promote") / ten for step in history]
    worse = [step.number("log_e_harm") / ten for step in history]
    limits = [
        ("enough to promote at any time", -math.log10(preset.alpha_anytime)),
        ("enough to retire", -math.log10(preset.alpha_harm)),
    ]
    return Chart(
        "Evidence: powers of ten of the e-values",
        x_max,
        -4.0,
        4.0,
        [Line("better", hours, better, "a"), Line("worse", hours, worse, "b")],
        limits=limits,
        note="An e-value of 500 comes by chance in at most one equal experiment of 500, however often it is looked at.",
    )


def _lift(history: Sequence[Step], hours: list[float], x_max: float) -> list[Chart]:
    lifts = [step.number("lift") for step in history]
    truth = [step.true_lift for step in history]
    reach = max(0.1, 1.6 * max(abs(value) for value in truth))
    band = [step.number("lift_low") for step in history], [step.number("lift_high") for step in history]
    estimate = Chart(
        "The lift as estimated, its 95 % confidence sequence, and the truth",
        x_max,
        -reach,
        reach,
        [Line("estimate", hours, lifts, "a"), Line("truth", hours, truth, "true")],
        percent=True,
        band=band,
    )
    looks = Line("bound of a look", hours, [step.number("bound") for step in history], "b", dots=True)
    scores = Line("score z", hours, [step.number("z") for step in history], "a")
    score = Chart("The score at the looks: promoted when it reaches the bound", x_max, -4.0, 6.0, [scores, looks])
    return [estimate, score]


def _decisions(history: Sequence[Step]) -> str:
    rows = [
        (
            f"{step.hours:g} h",
            step.decision.decision.replace("_", " "),
            f"{step.decision.weight:.0%}",
            step.decision.reason,
        )
        for step in changes(history)
    ]
    return table(("after", "decision", "share", "reason"), rows)


def changes(history: Sequence[Step]) -> list[Step]:
    """The steps that moved the share by five points, changed the decision, or ended the experiment; at most 40."""
    kept: list[Step] = []
    for step in history:
        before = kept[-1].decision if kept else None
        moved = before is None or abs(step.decision.weight - before.weight) >= 0.05
        if moved or (before and step.decision.decision != before.decision) or step is history[-1]:
            kept.append(step)
    return kept if len(kept) <= 40 else [*kept[:20], *kept[-20:]]
