"""The report's two charts, drawn as SVG by hand: bars from zero, and intervals around a zero line."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

_WIDTH, _LABEL, _ROW = 900, 230, 30
_VALUE, _INTERVAL = 90, 250


def bars(rows: Sequence[tuple[str, str, float]]) -> str:
    """One bar a row, from 0; (label, CSS class, value at least 0). Empty for no rows."""
    if not rows:
        return ""
    longest = max(value for _, _, value in rows) or 1.0
    room = _WIDTH - _LABEL - _VALUE
    drawn = []
    for number, (label, style, value) in enumerate(rows):
        top = number * _ROW
        width = max(room * value / longest, 1.0)
        drawn.append(
            f'<text x="0" y="{top + 20}">{html.escape(label.replace("_", " "))}</text>'
            f'<rect class="{html.escape(style)}" x="{_LABEL}" y="{top + 6}" width="{width:.1f}" height="18" rx="2"/>'
            f'<text x="{_LABEL + width + 8:.1f}" y="{top + 20}">{value:.4f}</text>'
        )
    return _svg(len(rows) * _ROW, drawn, "bars of the values in the table below")


def intervals(rows: Sequence[tuple[str, Mapping[str, float], bool]]) -> str:
    """One interval a row, each on a scale of its own around 0; (label, {mean, low, high}, whether more is better)."""
    half = (_WIDTH - _LABEL - _INTERVAL) / 2
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
            f'<text x="0" y="{y + 5}">{html.escape(label.replace("_", " "))}</text>'
            f'<line class="{style}" x1="{left:.1f}" y1="{y}" x2="{right:.1f}" y2="{y}" stroke-width="3"/>'
            f'<circle class="{style}" cx="{at:.1f}" cy="{y}" r="5"/>'
            f'<text x="{_WIDTH - _INTERVAL + 8}" y="{y + 5}">{mean:+.4f} <tspan class="soft">'
            f"({low:+.4f} to {high:+.4f})</tspan></text>"
        )
    return _svg(len(rows) * _ROW, drawn, "differences with their intervals")


def _svg(height: int, drawn: Sequence[str], said: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{html.escape(said)}">{"".join(drawn)}</svg>'
