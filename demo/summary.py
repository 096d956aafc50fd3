"""The end of the demo: the duration and result of each stage, and an estimate of its cost on AWS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.formatting.terminal import out, printable, say
from demo.simulated_users.sessions import SessionCounts

_MILLION = 1_000_000.0
#: USD, on demand, us-east-1, without free tiers; public list prices, not checked when the demo runs.
HTTP_API_PER_MILLION = 1.00
LAMBDA_PER_MILLION = 0.20
LAMBDA_PER_GB_SECOND = 0.0000166667
DYNAMODB_WRITE_PER_MILLION = 0.625
DYNAMODB_READ_PER_MILLION = 0.125
FIREHOSE_PER_GB = 0.029
TRANSITIONS_PER_THOUSAND = 0.025
HOSTING_PER_HOUR = 0.102  # ml.c5.large
#: Assumed for each request: 15 ms in a function of 512 MB, one Query, and three writes for each event of feedback.
_REQUEST_GB_SECONDS = 0.015 * 0.5
_READS_PER_REQUEST = 1.0
_WRITES_PER_EVENT = 3.0
#: Firehose bills each record in steps of 5 KB; the agent fills its records up to that size.
_BYTES_PER_ROW = 110
#: State transitions: about seven of the shift workflow for each tick, about forty of the train workflow for each run.
TRANSITIONS_PER_TICK = 7
TRANSITIONS_PER_RUN = 40


@dataclass(slots=True)
class Usage:
    """What the demo used. enrolled: users in the experiment. ticks: executions of the shift workflow."""

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
    """The estimate, by service."""
    gigabytes = usage.streamed_rows * _BYTES_PER_ROW / 1e9
    requests = HTTP_API_PER_MILLION + LAMBDA_PER_MILLION + _READS_PER_REQUEST * DYNAMODB_READ_PER_MILLION
    serving = usage.requests * (requests / _MILLION + _REQUEST_GB_SECONDS * LAMBDA_PER_GB_SECOND)
    writes = usage.events * _WRITES_PER_EVENT + usage.enrolled
    transitions = usage.ticks * TRANSITIONS_PER_TICK + usage.runs * TRANSITIONS_PER_RUN
    return [
        CostItem(
            "training and evaluation (the plans' estimate)",
            f"{usage.runs} run{'' if usage.runs == 1 else 's'}",
            usage.runs_usd,
        ),
        CostItem("streams", f"{usage.streamed_rows:,} rows", gigabytes * FIREHOSE_PER_GB),
        CostItem("requests: API, function, reads", f"{usage.requests:,}", serving),
        CostItem("writes of feedback and enrolment", f"{writes:,.0f}", writes * DYNAMODB_WRITE_PER_MILLION / _MILLION),
        CostItem("state transitions", f"{transitions:,}", transitions * TRANSITIONS_PER_THOUSAND / 1000.0),
        CostItem("endpoint for one hour", "two ml.c5.large", 2 * HOSTING_PER_HOUR),
    ]


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
    say("Estimated cost on AWS (list prices of us-east-1, not checked now; without free tiers)")
    costs = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("item", "quantity", "USD"):
        costs.add_column(name, justify="right" if name == "USD" else "left")
    items = cost_items(log.usage)
    for item in items:
        costs.add_row(item.name, item.quantity, f"{item.usd:.4f}")
    costs.add_section()
    costs.add_row("total", "", f"{sum(item.usd for item in items):.4f}")
    out().print(costs)
