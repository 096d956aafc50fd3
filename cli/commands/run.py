"""`usher run ID`: one run, state by state, with its cost, its verdict, and how to go on when it failed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.commands.runs import COLOURS, as_record, cost, verdict
from cli.formatting.console import out, print_json, printable, remark, say
from cli.runs import executions
from cli.runs.executions import Run, State
from cli.target import TargetCommand, chosen

app = typer.Typer()

_STYLES = {"failed": "red", "running": "cyan"}


@app.command(cls=TargetCommand)
def run(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="[ID]", help="The run, or the beginning of its id.")] = "last",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """One run: its states and how long each took, cost, verdict, cause, how to go on."""
    target = chosen(ctx)
    found = executions.find(target, run_id)
    states = executions.states(target, found)
    if as_json:
        print_json({**as_record(found), "states": [state_record(state) for state in states]})
        return
    now = datetime.now(UTC)
    head = Text(printable(found.run_id), style="bold")
    out().print(head, Text(found.said, style=COLOURS.get(found.said, "")), f"{found.seconds(now):.1f} s")
    show_states(states, now)
    for name, text in (("plan", str(found.record.get("plan", ""))), ("cost", cost(found) and f"{cost(found)} USD")):
        if text:
            say(f"{name:8}{printable(text)}")
    if verdict(found):
        say(f"{'cause' if found.record.get('cause') else 'verdict':8}{printable(verdict(found))}")
    remark(what_next(found))


def show_states(states: list[State], now: datetime) -> None:
    """A table of the states."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("state", "seconds", ""):
        table.add_column(name, justify="right" if name == "seconds" else "left")
    for state in states:
        seconds = state.seconds if state.seconds is not None else (now - state.started_at).total_seconds()
        style = _STYLES.get(state.outcome, "")
        outcome = "" if state.outcome == "done" else state.outcome
        table.add_row(Text(state.name, style=style), f"{seconds:.1f}", Text(outcome, style=style))
    out().print(table)


def state_record(state: State) -> dict[str, object]:
    """A state for --json."""
    started = state.started_at.isoformat()
    return {"state": state.name, "started_at": started, "seconds": state.seconds, "outcome": state.outcome}


def what_next(run: Run) -> str:
    """What a person can do about it."""
    if run.said == "running":
        return f"It runs: usher run {run.run_id} again shows how far it is"
    if run.said == "succeeded":
        return f"usher report {run.run_id} shows what was measured; usher recommend USER asks the model"
    if run.said == "refused":
        return f"What serves goes on serving; usher report {run.run_id} shows the numbers"
    return "What serves goes on serving. Once the cause is mended, usher runs start tries again on the newest data"
