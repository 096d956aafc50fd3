"""The end of the demo: the duration and result of each stage, and an estimate of its cost on AWS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.costs.bill import request_usd
from cli.costs.usage import ENROLMENT, FEEDBACK, RECOMMENDATION, TRANSITIONS_PER_RUN, TRANSITIONS_PER_TICK
from cli.formatting.terminal import out, printable, say
from demo.simulated_users.sessions import SessionCounts
from usher.runs.prices import price_list

#: Bytes of a row of a stream; the agent fills its records up to 5 KB, in steps of which Firehose bills.
_BYTES_PER_ROW = 110
#: GB of the functions that answer requests, as in the template.
_FUNCTION_GB = 1.0
HOSTING = "ml.c5.large"


@dataclass(slots=True)
class Usage:
    """What the demo used. enrolled: users in the experiment. ticks: executions of the shift workflow.

    backend: the template's ServingBackend.
    """

    backend: str = "endpoint"

    runs_usd: float = 0.0
    runs: int = 0
    streamed_rows: int = 0
    requests: int = 0
    events: int = 0
    enrolled: int = 0
    ticks: int = 0

    def add_sessions(self, counts: SessionCounts) -> None:
        """Add the requests and events of simulated users."""
        self.requests += counts.requests
        self.events += sum(counts.actions.values())


@dataclass(frozen=True, slots=True)
class CostItem:
    """One line of the estimate."""

    name: str
    quantity: str
    usd: float


def cost_items(usage: Usage) -> list[CostItem]:
    """The estimate, by service, with the price list and the figures of `usher cost`."""
    prices = price_list()
    gigabytes = usage.streamed_rows * _BYTES_PER_ROW / 1e9
    serving = usage.requests * request_usd(prices, RECOMMENDATION, _FUNCTION_GB)
    writes = usage.events * FEEDBACK.write_units + usage.enrolled * ENROLMENT.write_units
    transitions = usage.ticks * TRANSITIONS_PER_TICK + usage.runs * TRANSITIONS_PER_RUN
    items = [
        CostItem(
            "training and evaluation (the plans' estimate)",
            f"{usage.runs} run{'' if usage.runs == 1 else 's'}",
            usage.runs_usd,
        ),
        CostItem("streams", f"{usage.streamed_rows:,} rows", gigabytes * prices.price("firehose.gb")),
        CostItem("requests: API, function, reads, logs", f"{usage.requests:,}", serving),
        CostItem("writes of feedback and enrolment", f"{writes:,.0f}", writes * prices.price("dynamodb.write_unit")),
        CostItem("state transitions", f"{transitions:,}", transitions * prices.price("stepfunctions.transition")),
    ]
    if usage.backend == "endpoint":
        items.append(CostItem("endpoint for one hour", f"two {HOSTING}", 2 * prices.hour("hosting", HOSTING)))
    return items


@dataclass(slots=True)
class Stage:
    """One stage of the demo and how long it took on this machine."""

    name: str
    seconds: float = 0.0
    result: str = ""


@dataclass(slots=True)
class Log:
    """The stages in their order, and what they used."""

    stages: list[Stage] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Measure a stage; it is listed also when it fails."""
        entry = Stage(name)
        self.stages.append(entry)
        began = time.monotonic()
        try:
            yield entry
        finally:
            entry.seconds = time.monotonic() - began


def show(log: Log) -> None:
    """Print the table of stages and the table of costs."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    table.add_column("seconds", justify="right")
    table.add_column("result", overflow="fold")
    for stage in log.stages:
        table.add_row(stage.name, f"{stage.seconds:.1f}", Text(printable(stage.result)))
    out().print(table)
    say(f"Estimated cost on AWS (list prices of {price_list().region} as remembered; without free tiers)")
    costs = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("item", "quantity", "USD"):
        costs.add_column(name, justify="right" if name == "USD" else "left")
    items = cost_items(log.usage)
    for item in items:
        costs.add_row(item.name, item.quantity, f"{item.usd:.4f}")
    costs.add_section()
    costs.add_row("total", "", f"{sum(item.usd for item in items):.4f}")
    out().print(costs)
