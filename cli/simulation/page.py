"""An experiment as one HTML page that needs nothing else: its weights, evidence, looks and decisions."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from cli.simulation.charts import Chart, Line, svg
from cli.simulation.single import Step
from usher.shift.presets import Preset

_STYLE = """
:root{--ink:#1c2430;--soft:#5b6675;--paper:#fbfbf9;--rule:#dfe2e6;--a:#2563a8;--b:#c2571a;--good:#2f7d4f;--band:#2563a822}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#98a3b3;--paper:#14181f;--rule:#2c3440;--a:#6ea8e6;
--b:#ef9a5b;--good:#6fc28f;--band:#6ea8e633}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:760px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin:0}.verdict{font-size:1.15rem;margin:.4rem 0 1.5rem}
figure{margin:0 0 1.8rem}figcaption{font-weight:600}figure p{color:var(--soft);margin:.2rem 0;font-size:.9rem}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
svg path{fill:none;stroke-width:2}.grid{stroke:var(--rule);stroke-width:1!important}
svg .limit{stroke:var(--soft);stroke-width:1!important;stroke-dasharray:4 4}svg text.limit{stroke:none;fill:var(--soft)}
path.a{stroke:var(--a)}path.b{stroke:var(--b)}path.true{stroke:var(--good);stroke-dasharray:2 4}
circle.b{fill:var(--b)}path.band{fill:var(--band);stroke:none}
ul.legend{list-style:none;padding:0;margin:.1rem 0;display:flex;gap:1.2rem;color:var(--soft);font-size:.9rem}
ul.legend li::before{content:"";display:inline-block;width:1.1em;height:.25em;margin-right:.4em;vertical-align:middle;
background:var(--a)}ul.legend li.b::before{background:var(--b)}ul.legend li.true::before{background:var(--good)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
"""


def page(title: str, settings: Sequence[tuple[str, str]], preset: Preset, history: Sequence[Step]) -> str:
    """The whole page; history: one step or more."""
    last = history[-1]
    verdict = f"{last.decision.decision.replace('_', ' ')} after {last.hours:g} h: {last.decision.reason}"
    figures = "".join(svg(chart) for chart in charts(preset, history))
    rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in settings)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1><p class=verdict>{html.escape(verdict)}</p>{figures}"
        f"<h2>Decisions that changed something</h2>{_decisions(history)}"
        f"<h2>The simulated world</h2><table>{rows}</table></html>"
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
    rows = "".join(
        f"<tr><td>{step.hours:g} h</td><td>{html.escape(step.decision.decision.replace('_', ' '))}</td>"
        f"<td>{step.decision.weight:.0%}</td><td>{html.escape(step.decision.reason)}</td></tr>"
        for step in changes(history)
    )
    return f"<table><tr><th>after</th><th>decision</th><th>share</th><th>reason</th></tr>{rows}</table>"


def changes(history: Sequence[Step]) -> list[Step]:
    """The steps that moved the share by five points, changed the decision, or ended the experiment; at most 40."""
    kept: list[Step] = []
    for step in history:
        before = kept[-1].decision if kept else None
        moved = before is None or abs(step.decision.weight - before.weight) >= 0.05
        if moved or (before and step.decision.decision != before.decision) or step is history[-1]:
            kept.append(step)
    return kept if len(kept) <= 40 else [*kept[:20], *kept[-20:]]
