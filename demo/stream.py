"""The first delivery: the agent sends each file to its stream, as on a machine that writes them; then the counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from cli import athena
from cli.errors import CommandError
from cli.formatting.console import out
from cli.movielens import FILES
from cli.target import Target
from demo.phases import Part

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Sent:
    """What the agent delivered of one file, in how many seconds."""

    name: str
    rows: int
    seconds: float
    repeated: int


def send(target: Target, part: Part, scratch: Path) -> list[Sent]:
    """Send every file, ratings last; CommandError when a row could not be sent."""
    from cli.agent.bootstrap import Order, stream, work  # noqa: PLC0415 - boto3

    sent = []
    for name, path in part.files.items():
        dataset = FILES[name]
        checkpoint = scratch / f"agent-{dataset}.json"
        order = Order(paths=[str(path)], dataset=dataset, stream=stream(target, dataset), checkpoint=checkpoint)
        done = work(target, order, threading.Event())
        if done.aside or done.rows < part.rows[name]:
            raise CommandError(f"{path}: {done.rows} of {part.rows[name]} rows were sent, {done.aside} cannot be")
        sent.append(Sent(name, done.rows, done.seconds, done.tally.resent))
    return sent


def wait_until_there(target: Target, part: Part, wait_seconds: float) -> dict[str, int]:
    """Rows in the lake by file name, once it holds what was sent; CommandError when it does not in time, or holds more.

    A stream delivers at least once: more rows than were sent would be a delivery that came twice.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        there = {name: _count(target, FILES[name]) for name in part.files}
        refused = _count(target, "quarantine")
        short = {name: part.rows[name] - rows for name, rows in there.items() if rows != part.rows[name]}
        if not short and not refused:
            return there
        if any(rows < 0 for rows in short.values()) or refused or time.monotonic() > deadline:
            said = ", ".join(f"{name} {rows:+,}" for name, rows in short.items())
            raise CommandError(f"sent and counted differ after the stream: {said or 'no rows'} to come, {refused} bad")
        time.sleep(_LOOK_SECONDS)


def _count(target: Target, table: str) -> int:
    answer = athena.ask(target, f"SELECT count(*) AS found FROM {table}")  # noqa: S608 - our own names
    return int(next(iter(answer.records()))["found"])


def show(part: Part, sent: list[Sent], there: Mapping[str, int]) -> None:
    """One line a file."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("file", "stream", "rows sent", "rows/s", "sent again", "in the lake"):
        table.add_column(name, justify="left" if name in ("file", "stream") else "right")
    for item in sent:
        rate = item.rows / max(item.seconds, 1e-3)
        counts = f"{item.rows:,}", f"{rate:,.0f}", f"{item.repeated:,}", f"{there[item.name]:,}"
        table.add_row(item.name, FILES[item.name], *counts)
    table.add_section()
    table.add_row("", "", f"{part.total:,}", "", "", f"{sum(there.values()):,}")
    out().print(table)
