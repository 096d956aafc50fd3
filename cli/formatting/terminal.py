"""What commands print in a terminal: results to stdout, progress and errors to stderr; tables, bars and intervals."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Collection, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: The width of tables in a file or a pipe, characters.
FILE_WIDTH = 120


def out() -> Console:
    """The console of results (stdout), created at each use so that a redirected stdout is respected."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH)


def err() -> Console:
    """The console of progress, remarks and errors (stderr)."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def remark(text: str) -> None:
    """Print one dim line on stderr."""
    err().print(Text(text, style="dim"))


def say(text: str, style: str = "") -> None:
    """Print one line on stdout without folding it: a path in it can be copied."""
    out().print(Text(text, style=style), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout, without wrapping or colour."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def printable(text: str) -> str:
    """`text` with control and unprintable characters escaped, so that foreign text cannot control the terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def make_table(heads: Sequence[str], *, right: Collection[str] = (), title: str = "") -> Table:
    """An empty table. right: the columns that are aligned right. Names and title are never read as markup."""
    shown = Text(printable(title)) if title else None
    table = Table(title=shown, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name in heads:
        table.add_column(Text(printable(name)), justify="right" if name in right else "left", overflow="fold")
    return table


#: Characters of a bar.
WIDTH = 40
#: Intervals are drawn from minus to plus this value.
REACH = 0.2

#: Colours of the decisions that change the experiment.
COLOURS = {
    "promote": "green",
    "retire": "red",
    "roll_back": "red",
    "freeze": "yellow",
    "futile": "yellow",
    "inconclusive": "yellow",
}


def bar(share: float) -> Text:
    """A share (0 to 1) as a bar; values outside are clipped, NaN is an empty bar."""
    full = round(min(max(0.0 if math.isnan(share) else share, 0.0), 1.0) * WIDTH)
    return Text.assemble(("━" * full, "cyan"), ("─" * (WIDTH - full), "dim"))


def interval(low: float, middle: float, high: float) -> Text:
    """An interval between −20 % and +20 %, with zero and the estimate marked; NaN is an unbounded end."""
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
    """Format an e-value, given its natural logarithm."""
    if not -7 < log_e < 14:
        return f"10^{log_e / math.log(10):.0f}"
    value = math.exp(log_e)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _column(lift: float, unknown: int) -> int:
    if math.isnan(lift):
        return unknown
    return round(min(max((lift + REACH) / (2 * REACH), 0.0), 1.0) * (WIDTH - 1))
