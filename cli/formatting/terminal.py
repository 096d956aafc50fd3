"""Bars, intervals and e-values as a terminal shows them."""

from __future__ import annotations

import math

from rich.text import Text

WIDTH = 40
#: An interval is drawn from minus this to plus this.
REACH = 0.2

#: Decisions that are more than going on.
COLOURS = {
    "promote": "green",
    "retire": "red",
    "roll_back": "red",
    "freeze": "yellow",
    "futile": "yellow",
    "inconclusive": "yellow",
}


def bar(part: float) -> Text:
    """A part of one as a bar; outside of 0 to 1 it is cut, and NaN is nothing."""
    full = round(min(max(0.0 if math.isnan(part) else part, 0.0), 1.0) * WIDTH)
    return Text.assemble(("━" * full, "cyan"), ("─" * (WIDTH - full), "dim"))


def interval(low: float, middle: float, high: float) -> Text:
    """An interval between −20 % and +20 %, with zero and the estimate marked; NaN is an end that nothing bounds."""
    first, last = _column(low, 0), _column(high, WIDTH - 1)
    letters = ["━" if first <= at <= last else " " for at in range(WIDTH)]
    letters[WIDTH // 2] = "│"
    letters[_column(middle, WIDTH // 2)] = "●"
    return Text("".join(letters), style="magenta")


def lift_text(low: float, middle: float, high: float) -> str:
    """`+1.2% (−3.4% to unbounded)`"""
    ends = " to ".join("unbounded" if math.isnan(end) else f"{end:+.1%}" for end in (low, high))
    return f"{0.0 if math.isnan(middle) else middle:+.1%} ({ends})"


def e_value(log_e: float) -> str:
    """An e-value by its natural logarithm."""
    if not -7 < log_e < 14:
        return f"10^{log_e / math.log(10):.0f}"
    value = math.exp(log_e)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _column(lift: float, unknown: int) -> int:
    if math.isnan(lift):
        return unknown
    return round(min(max((lift + REACH) / (2 * REACH), 0.0), 1.0) * (WIDTH - 1))
