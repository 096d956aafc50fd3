"""`usher simulate`: simulate an experiment with known true rates, or plan a real one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.errors import CommandError
from cli.formatting import terminal
from cli.simulation import monte_carlo, output
from cli.simulation.one_experiment import DecisionPoint, simulate_one
from cli.simulation.world import World
from usher.experiments.stats.presets import Preset, PresetError, preset

app = typer.Typer(add_completion=False)

Lift = Annotated[float, typer.Option(min=-1.0, max=100.0, help="The challenger's true relative lift: 0.05 is +5 %.")]
Users = Annotated[float, typer.Option(min=0.1, max=1e6, help="New users per hour.")]
Rate = Annotated[float, typer.Option(min=1e-5, max=1.0, help="The champion's conversion rate.")]
Drift = Annotated[float, typer.Option(min=0.0, max=0.9, help="Amplitude of the base rate's daily cycle: 0.5 is ±50 %.")]
Trend = Annotated[float, typer.Option(min=0.05, max=20.0, help="The base rate's factor at the end: 0.5 halves it.")]
Delay = Annotated[float, typer.Option(min=0.0, max=1000.0, help="Mean hours until a conversion.")]
Window = Annotated[
    float, typer.Option(min=0.0, max=168.0, help="Hours in which a conversion counts (default: twice the delay).")
]
Errors = Annotated[float, typer.Option(min=0.0, max=1.0, help="The challenger's share of server errors.")]
Epoch = Annotated[
    float | None, typer.Option(min=0.5, max=1440.0, help="Minutes between decisions (default: 60, preset demo: 1).")
]
Html = Annotated[Path | None, typer.Option(help="Also write one HTML page.")]


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - each is an option of the command
    lift: Lift = 0.05,
    users_per_hour: Users = 2000.0,
    base_rate: Rate = 0.10,
    drift: Drift = 0.0,
    trend: Trend = 1.0,
    delay_hours: Delay = 0.0,
    window_hours: Window = 0.0,
    error_rate: Errors = 0.0,
    epoch_minutes: Epoch = None,
    preset_name: Annotated[
        str, typer.Option("--preset", help="Preset: default, patient, cautious or demo.")
    ] = "default",
    plan: Annotated[
        bool, typer.Option("--plan", help="Forecast power, duration and cost of many experiments.")
    ] = False,
    runs: Annotated[int, typer.Option(min=20, max=20_000, help="Simulated experiments per row of the plan.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same experiment.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.0, max=600.0, help="Seconds of animation; 0: none.")] = 10.0,
    html: Html = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate an experiment, or plan one with --plan.

    The code that decides is the same as on AWS. Without a lift (--lift 0) it should promote nothing.
    """
    chosen = _preset(preset_name)
    world = World(
        lift=lift,
        users_per_hour=users_per_hour,
        base_rate=base_rate,
        daily=drift,
        trend=(1.0, trend),
        trend_hours=chosen.horizon_hours,
        delay_hours=delay_hours,
        window_hours=window_hours or delay_hours * 2,
        epoch_hours=(epoch_minutes or (1.0 if chosen.name == "demo" else 60.0)) / 60,
    )
    _check(world, chosen)
    if plan:
        if html:
            raise CommandError("--html and --plan exclude each other: give one of them")
        _show_plan(world, chosen, runs, seed, json)
        return
    history = _watch(
        simulate_one(world, chosen, seed, error_rate), chosen, world, seconds=0.0 if json else seconds, quiet=json
    )
    if json:
        terminal.print_json([{"hours": point.hours, **asdict(point.decision)} for point in output.changes(history)])
    if html:
        _write_page(html, world, chosen, history, error_rate)


def _preset(name: str) -> Preset:
    try:
        return preset(name)
    except PresetError as error:
        raise CommandError(str(error)) from error


def _check(world: World, chosen: Preset) -> None:
    """Check combinations of options."""
    peak = world.base_rate * (1 + world.daily) * max(world.trend) * max(1.0, 1 + world.lift)
    if peak > 1:
        raise CommandError(f"a conversion rate would reach {peak:.0%}: lower --base-rate, --lift, --drift or --trend")
    if world.window_hours >= chosen.horizon_hours:
        raise CommandError(
            f"a window of {world.window_hours:g} h never closes in the {chosen.horizon_hours:g} h of "
            f"preset {chosen.name}: lower --window-hours or --delay-hours"
        )
    if world.epoch_hours >= chosen.horizon_hours:
        raise CommandError(
            f"an epoch of {world.epoch_hours * 60:g} minutes exceeds preset {chosen.name}: lower --epoch-minutes"
        )


def _watch(
    points: Iterator[DecisionPoint], chosen: Preset, world: World, *, seconds: float, quiet: bool
) -> list[DecisionPoint]:
    """Show each decision as it comes: on a terminal animated, otherwise the ones that changed something."""
    out = terminal.out()
    if quiet or not out.is_terminal or seconds == 0:
        history = list(points)
        if not quiet:
            for point in output.changes(history):
                out.print(output.line(point), markup=False, soft_wrap=True)
        return history
    pause = seconds / (chosen.horizon_hours / world.epoch_hours)
    history = []
    with Live(console=out, auto_refresh=False) as live:
        for point in points:
            history.append(point)
            live.update(output.frame(point, chosen), refresh=True)
            time.sleep(pause)
    return history


def _show_plan(world: World, chosen: Preset, runs: int, seed: int, json: bool) -> None:
    columns = (TextColumn("simulating {task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=terminal.err(), transient=True) as progress:
        task = progress.add_task("", total=monte_carlo.rows_of(chosen.name))
        planned = monte_carlo.plan(
            world, chosen.name, runs, seed, lambda label: progress.update(task, description=label, advance=1)
        )
    if json:
        terminal.print_json(asdict(planned))
        return
    out = terminal.out()
    for table in output.plan_tables(planned, chosen.name):
        out.print(table)
    terminal.remark(
        "promoted: wrongly where the true lift is 0 or negative. users: the users of the challenger. lost: conversions "
        "lost against serving only the better model until the experiment ends."
    )


def _write_page(path: Path, world: World, chosen: Preset, history: list[DecisionPoint], error_rate: float) -> None:
    settings = (
        ("true lift", f"{world.lift:+.1%}"),
        ("new users an hour", f"{world.users_per_hour:g}"),
        ("base rate", f"{world.base_rate:.2%}"),
        ("daily cycle", f"±{world.daily:.0%}"),
        ("base rate at the end", f"× {world.trend[1]:g}"),
        ("mean delay, window", f"{world.delay_hours:g} h, {world.window_hours:g} h"),
        ("the challenger's server errors", f"{error_rate:.1%}"),
        ("preset", f"{chosen.name}: {chosen.doc}"),
    )
    try:
        path.write_text(output.page("A simulated experiment", settings, chosen, history), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {path} ({error.strerror}): name another file") from error
    terminal.remark(f"written: {path}")
