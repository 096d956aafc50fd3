"""`usher runs` lists training runs and starts one; `usher run ID` shows one run state by state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from cli.errors import CommandError
from cli.formatting.terminal import make_table, out, print_json, printable, remark, say
from cli.runs import Run, State, find, newest, start, states
from cli.target import TargetCommand, chosen

app = typer.Typer()
one = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_STATUS_COLOURS = {"succeeded": "green", "running": "cyan", "refused": "yellow", "failed": "red", "timed_out": "red"}
_STATE_COLOURS = {"failed": "red", "running": "cyan"}


@app.command(cls=TargetCommand)
def runs(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="[start]", help="Start a run on the newest data.")] = "",
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The number of runs to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest training runs: status, duration, cost, verdict. `usher runs start` starts a run now."""
    if action not in ("", "start"):
        raise CommandError(f"unknown action {action}: use `usher runs`, `usher runs start`, or `usher run ID`")
    target = chosen(ctx)
    if action:
        _show_started(start(target), as_json=as_json)
    else:
        _show_runs(newest(target, limit), as_json=as_json)


@one.command(cls=TargetCommand)
def run(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="[ID]", help="Run id, or the beginning of one.")] = "last",
    *,
    as_json: AsJson = False,
) -> None:
    """Show one run: its states with their durations, cost, verdict, cause of failure, and the next step."""
    target = chosen(ctx)
    found = find(target, run_id)
    visited = states(target, found)
    if as_json:
        print_json({**as_record(found), "states": [_state_record(state) for state in visited]})
        return
    now = datetime.now(UTC)
    status = Text(found.overall_status, style=_STATUS_COLOURS.get(found.overall_status, ""))
    out().print(Text(printable(found.run_id), style="bold"), status, f"{found.seconds(now):.1f} s")
    _show_states(visited, now)
    for name, text in (("plan", str(found.record.get("plan", ""))), ("cost", cost(found) and f"{cost(found)} USD")):
        if text:
            say(f"{name:8}{printable(text)}")
    if verdict(found):
        say(f"{'cause' if found.record.get('cause') else 'verdict':8}{printable(verdict(found))}")
    remark(what_next(found))


def cost(run: Run) -> str:
    """The expected cost in USD; empty before the run is planned."""
    return f"{run.record['cost_usd']:.2f}" if "cost_usd" in run.record else ""


def verdict(run: Run) -> str:
    """The cause of a failure, else the verdict of the evaluation gate; empty before either."""
    gate = run.record.get("gate") or {}
    decided = f"{gate['verdict']}: {gate['reason']}" if gate else ""
    return str(run.record.get("cause") or decided)


def as_record(run: Run) -> dict[str, Any]:
    """A run for --json."""
    record = {name: value for name, value in run.record.items() if name not in ("pk", "sk")}
    ended = run.ended_at.isoformat() if run.ended_at else None
    times = {"started_at": run.started_at.isoformat(), "ended_at": ended}
    return {**record, "run_id": run.run_id, "status": run.overall_status, **times}


def what_next(run: Run) -> str:
    """The next step for the operator."""
    if run.overall_status == "running":
        return f"The run is under way: repeat usher run {run.run_id} to see its progress"
    if run.overall_status == "succeeded":
        return f"usher report {run.run_id} shows the evaluation; usher recommend USER uses the model"
    if run.overall_status == "refused":
        return f"The current model keeps serving; usher report {run.run_id} shows the evaluation"
    return "The current model keeps serving. Fix the cause, then start a new run with usher runs start"


def _show_runs(found: list[Run], *, as_json: bool) -> None:
    if as_json:
        print_json([as_record(run) for run in found])
        return
    if not found:
        say("No run has started yet.")
        remark(
            "A run starts when the lake has enough new rows and uploads have paused; usher runs start starts one now"
        )
        return
    heads = ("run", "status", "started", "seconds", "USD", "verdict or cause")
    table, now = make_table(heads, right=("seconds", "USD")), datetime.now(UTC)
    for run in found:
        table.add_row(
            Text(printable(run.run_id), style="bold"),
            Text(run.overall_status, style=_STATUS_COLOURS.get(run.overall_status, "")),
            f"{run.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            f"{run.seconds(now):.0f}",
            Text(cost(run)),
            Text(printable(verdict(run))),
        )
    out().print(table)
    remark("usher run ID shows one run, usher report ID its evaluation")


def _show_started(run_id: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"run_id": run_id})
        return
    say(f"run {run_id} starts")
    remark(f"usher run {run_id} shows its progress")


def _show_states(visited: list[State], now: datetime) -> None:
    table = make_table(("state", "seconds", "outcome"), right=("seconds",))
    for state in visited:
        seconds = state.seconds if state.seconds is not None else (now - state.started_at).total_seconds()
        style = _STATE_COLOURS.get(state.outcome, "")
        table.add_row(Text(state.name, style=style), f"{seconds:.1f}", Text(state.outcome, style=style))
    out().print(table)


def _state_record(state: State) -> dict[str, object]:
    started = state.started_at.isoformat()
    return {"state": state.name, "started_at": started, "seconds": state.seconds, "outcome": state.outcome}
