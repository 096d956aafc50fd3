"""Charts as inline SVG without scripts, fonts or other external content, and their style sheet."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 12, 30

#: Style sheet of all charts; pages.py includes it. colors.py defines the colours.
STYLE = """
figure{margin:0 0 1.8rem}figcaption{font-weight:600}figure p{color:var(--soft);margin:.2rem 0;font-size:.9rem}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
svg path{fill:none;stroke-width:2}.grid{stroke:var(--rule);stroke-width:1!important}
svg .limit{stroke:var(--soft);stroke-width:1!important;stroke-dasharray:4 4}svg text.limit{stroke:none;fill:var(--soft)}
path.a{stroke:var(--champion)}path.b{stroke:var(--challenger)}
path.c,path.true{stroke:var(--good)}path.true{stroke-dasharray:2 4}
circle.a,rect.a{fill:var(--champion)}circle.b,rect.b{fill:var(--challenger)}
circle.c{fill:var(--good)}rect.pale{opacity:.35}
path.band{fill:var(--band);stroke:none}
ul.legend{list-style:none;padding:0;margin:.1rem 0;display:flex;flex-wrap:wrap;gap:0 1.2rem;
color:var(--soft);font-size:.9rem}
ul.legend li{white-space:nowrap}
ul.legend li::before{content:"";display:inline-block;width:1.1em;height:.25em;margin-right:.4em;vertical-align:middle;
background:var(--champion)}ul.legend li.b::before{background:var(--challenger)}
ul.legend li.pale::before{opacity:.35}
ul.legend li.c::before,ul.legend li.true::before{background:var(--good)}
svg text.ink{font-size:12px;fill:var(--ink)}rect.soft{fill:var(--soft)}svg tspan.soft{fill:var(--soft)}
svg line{stroke:var(--soft)}line.good,circle.good{stroke:var(--good);fill:var(--good)}
line.bad,circle.bad{stroke:var(--bad);fill:var(--bad)}line.open,circle.open{stroke:var(--soft);fill:var(--soft)}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A series in the chart's units; NaN leaves a gap. style: a CSS class; steps: held until the next point."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: str
    steps: bool = False
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """A series of bars, each from the chart's lower edge to y, between left and right."""

    label: str
    left: Sequence[float]
    right: Sequence[float]
    y: Sequence[float]
    style: str


@dataclass(frozen=True, slots=True)
class Chart:
    """title: what is drawn, with its unit. band: lower and upper ends of an interval over the first line's x."""

    title: str
    x_max: float
    y_min: float
    y_max: float
    lines: Sequence[Line]
    percent: bool = False
    limits: Sequence[tuple[str, float]] = ()
    band: tuple[Sequence[float], Sequence[float]] | None = None
    note: str = field(default="")
    bars: Sequence[Bars] = ()


def svg(chart: Chart) -> str:
    """A figure with its caption and legend."""
    parts = [_axes(chart)]
    if chart.band:
        parts.append(_band(chart, chart.lines[0].x, *chart.band))
    parts += [_bars(chart, bars) for bars in chart.bars]
    parts += _limits(chart)
    parts += [_line(chart, line) for line in chart.lines]
    series: list[Bars | Line] = [*chart.bars, *chart.lines]
    legend = "".join(f'<li class="{one.style}">{html.escape(one.label)}</li>' for one in series)
    note = f"<p>{html.escape(chart.note)}</p>" if chart.note else ""
    return (
        f"<figure><figcaption>{html.escape(chart.title)}</figcaption><ul class='legend'>{legend}</ul>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(chart.title)}">{"".join(parts)}</svg>'
        f"{note}</figure>"
    )


def _x(chart: Chart, value: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * value / chart.x_max


def _y(chart: Chart, value: float) -> float:
    inside = min(max(value, chart.y_min), chart.y_max)
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (chart.y_max - inside) / (chart.y_max - chart.y_min)


def _axes(chart: Chart) -> str:
    parts = []
    for value in ticks(chart.y_min, chart.y_max):
        at = _y(chart, value)
        text = f"{100 * value:.3g} %" if chart.percent else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
        parts.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    for value in ticks(0, chart.x_max):
        parts.append(f'<text x="{_x(chart, value):.1f}" y="{HEIGHT - 10}" text-anchor="middle">{value:g} h</text>')
    return "".join(parts)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high, about `count` of them."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [step * number for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _limits(chart: Chart) -> list[str]:
    """From the highest down; one that is close below another has its label under its line."""
    drawn, above = [], -math.inf
    for label, value in sorted(chart.limits, key=lambda limit: -limit[1]):
        at = _y(chart, value)
        drawn.append(_limit(label, at, at + 12 if at - above < 16 else at - 4))
        above = at
    return drawn


def _limit(label: str, at: float, label_at: float) -> str:
    return (
        f'<path class="limit" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>'
        f'<text class="limit" x="{_LEFT + 4}" y="{label_at:.1f}">{html.escape(label)}</text>'
    )


def _bars(chart: Chart, bars: Bars) -> str:
    base = _y(chart, chart.y_min)
    drawn = []
    for left, right, value in zip(bars.left, bars.right, bars.y, strict=True):
        start, top = _x(chart, left), _y(chart, value)
        wide = max(_x(chart, right) - start - 0.5, 0.5)  # half a point of air, and never nothing
        drawn.append(
            f'<rect class="{bars.style}" x="{start:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{base - top:.1f}"/>'
        )
    return "".join(drawn)


def _line(chart: Chart, line: Line) -> str:
    points = [(_x(chart, x), _y(chart, y)) for x, y in zip(line.x, line.y, strict=True) if not math.isnan(y)]
    if line.dots:
        return "".join(f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points)
    if not points:
        return ""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    path += [f"H{x:.1f}V{y:.1f}" if line.steps else f"L{x:.1f} {y:.1f}" for x, y in points[1:]]
    return f'<path class="{line.style}" d="{"".join(path)}"/>'


def _band(chart: Chart, x: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    there = [
        (at, chart.y_min if math.isnan(lower) else lower, chart.y_max if math.isnan(upper) else upper)
        for at, lower, upper in zip(x, low, high, strict=True)
    ]
    top = [f"{_x(chart, at):.1f} {_y(chart, upper):.1f}" for at, _, upper in there]
    bottom = [f"{_x(chart, at):.1f} {_y(chart, lower):.1f}" for at, lower, _ in reversed(there)]
    return f'<path class="band" d="M{"L".join(top + bottom)}Z"/>'


#: Layout of charts with one row for each value: width, width of the label, height of a row, room for the numbers.
_ROW_WIDTH, _LABEL, _ROW = 900, 230, 30
_VALUE, _INTERVAL = 90, 250


def horizontal_bars(rows: Sequence[tuple[str, str, float]]) -> str:
    """One bar a row, from 0; (label, CSS class, value at least 0). Empty for no rows."""
    if not rows:
        return ""
    longest = max(value for _, _, value in rows) or 1.0
    room = _ROW_WIDTH - _LABEL - _VALUE
    drawn = []
    for number, (label, style, value) in enumerate(rows):
        top = number * _ROW
        width = max(room * value / longest, 1.0)
        drawn.append(
            f'<text class="ink" x="0" y="{top + 20}">{html.escape(label.replace("_", " "))}</text>'
            f'<rect class="{html.escape(style)}" x="{_LABEL}" y="{top + 6}" width="{width:.1f}" height="18" rx="2"/>'
            f'<text class="ink" x="{_LABEL + width + 8:.1f}" y="{top + 20}">{value:.4f}</text>'
        )
    return _rows_svg(len(rows) * _ROW, drawn, "bars of the values in the table below")


def intervals(rows: Sequence[tuple[str, Mapping[str, float], bool]]) -> str:
    """One interval a row, each on a scale of its own around 0; (label, {mean, low, high}, whether more is better)."""
    half = (_ROW_WIDTH - _LABEL - _INTERVAL) / 2
    middle = _LABEL + half
    half -= 8
    drawn = [f'<line class="zero" x1="{middle}" y1="0" x2="{middle}" y2="{len(rows) * _ROW}"/>']
    for number, (label, interval, more_is_better) in enumerate(rows):
        mean, low, high = (float(interval[name]) for name in ("mean", "low", "high"))
        scale = half / (max(abs(low), abs(high)) or 1.0)
        y = number * _ROW + 15
        left, at, right = (middle + scale * value for value in (low, mean, high))
        style = "open" if low <= 0 <= high else "good" if (low > 0) == more_is_better else "bad"
        drawn.append(
            f'<text class="ink" x="0" y="{y + 5}">{html.escape(label.replace("_", " "))}</text>'
            f'<line class="{style}" x1="{left:.1f}" y1="{y}" x2="{right:.1f}" y2="{y}" stroke-width="3"/>'
            f'<circle class="{style}" cx="{at:.1f}" cy="{y}" r="5"/>'
            f'<text class="ink" x="{_ROW_WIDTH - _INTERVAL + 8}" y="{y + 5}">{mean:+.4f} <tspan class="soft">'
            f"({low:+.4f} to {high:+.4f})</tspan></text>"
        )
    return _rows_svg(len(rows) * _ROW, drawn, "differences with their intervals")


def _rows_svg(height: int, drawn: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_ROW_WIDTH} {height}" role="img" aria-label="{html.escape(label)}">{"".join(drawn)}</svg>'
    )
