"""`usher runs`: the runs of training, newest first; `usher runs start` begins one by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.errors import CommandError
from cli.formatting.console import out, print_json, printable, remark, say
from cli.runs import by_hand, executions
from cli.runs.executions import Run
from cli.target import TargetCommand, chosen

app = typer.Typer()

COLOURS = {"succeeded": "green", "running": "cyan", "refused": "yellow", "failed": "red", "timed_out": "red"}


@app.command(cls=TargetCommand)
def runs(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="[start]", help="Start a run on the newest data.")] = "",
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The newest runs: status, duration, cost, verdict. `usher runs start` starts one now, due or not."""
    if action not in ("", "start"):
        raise CommandError(f"usher runs {action}: it is `usher runs` or `usher runs start` (one run: `usher run ID`)")
    target = chosen(ctx)
    if action:
        started(by_hand.start(target), as_json=as_json)
    else:
        show(executions.newest(target, limit), as_json=as_json)


def show(found: list[Run], *, as_json: bool) -> None:
    """The runs as a table, or as JSON."""
    if as_json:
        print_json([as_record(run) for run in found])
        return
    if not found:
        say("There has been no run yet.")
        remark(
            "A run starts by itself when enough new rows are in the lake and it is quiet; usher runs start forces one"
        )
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("run", "status", "started", "seconds", "USD", "verdict or cause"):
        table.add_column(name, justify="right" if name in ("seconds", "USD") else "left", overflow="fold")
    now = datetime.now(UTC)
    for run in found:
        table.add_row(
            Text(printable(run.run_id), style="bold"),
            Text(run.said, style=COLOURS.get(run.said, "")),
            f"{run.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            f"{run.seconds(now):.0f}",
            Text(cost(run)),
            Text(printable(verdict(run))),
        )
    out().print(table)
    remark("usher run ID shows one, usher report ID its report")


def started(run_id: str, *, as_json: bool) -> None:
    """Say that a run starts."""
    if as_json:
        print_json({"run_id": run_id})
        return
    say(f"run {run_id} starts")
    remark(f"usher run {run_id} shows how far it is")


def cost(run: Run) -> str:
    """The expected cost in USD, empty before the plan is made."""
    return f"{run.record['cost_usd']:.2f}" if "cost_usd" in run.record else ""


def verdict(run: Run) -> str:
    """What went wrong, or what the gate said."""
    gate = run.record.get("gate") or {}
    said = f"{gate['verdict']}: {gate['reason']}" if gate else ""
    return str(run.record.get("cause") or said)


def as_record(run: Run) -> dict[str, Any]:
    """A run for --json."""
    record = {name: value for name, value in run.record.items() if name not in ("pk", "sk")}
    ended = run.ended_at.isoformat() if run.ended_at else None
    times = {"started_at": run.started_at.isoformat(), "ended_at": ended}
    return {**record, "run_id": run.run_id, "status": run.said, **times}
