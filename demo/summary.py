"""The end of the demo: how long each part took, what it moved, and what it would have cost on AWS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.formatting.console import out, printable, say
from demo.costs import Use, lines


@dataclass(slots=True)
class Stage:
    """One part of the demo. seconds: of this machine. what: its result in a few words."""

    name: str
    seconds: float = 0.0
    what: str = ""


@dataclass(slots=True)
class Log:
    """The parts in their order, and what was used."""

    stages: list[Stage] = field(default_factory=list)
    use: Use = field(default_factory=Use)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Measures a part; it is listed also when it fails."""
        entry = Stage(name)
        self.stages.append(entry)
        began = time.monotonic()
        try:
            yield entry
        finally:
            entry.seconds = time.monotonic() - began


def show(log: Log) -> None:
    """Both tables."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    table.add_column("seconds", justify="right")
    table.add_column("what came of it", overflow="fold")
    for stage in log.stages:
        table.add_row(stage.name, f"{stage.seconds:.1f}", Text(printable(stage.what)))
    out().print(table)
    say("What it would have cost on AWS (list prices of us-east-1, from memory; free tiers left out)")
    costs = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("what", "how much", "USD"):
        costs.add_column(name, justify="right" if name == "USD" else "left")
    found = lines(log.use)
    for line in found:
        costs.add_row(line.what, line.amount, f"{line.usd:.4f}")
    costs.add_section()
    costs.add_row("together", "", f"{sum(line.usd for line in found):.4f}")
    out().print(costs)
