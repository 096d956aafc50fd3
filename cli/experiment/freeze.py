"""`usher freeze`: weights stay, nobody new enrols and nothing is promoted until somebody thaws it."""

from __future__ import annotations

import typer

from cli.experiment.options import Wait, Why, Yes
from cli.failures import CommandError
from cli.target import TargetCommand, chosen

app = typer.Typer(add_completion=False)


@app.command(cls=TargetCommand)
def freeze(ctx: typer.Context, *, why: Why, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Hold an experiment as it is. Guardrails stay on: a challenger that breaks is still rolled back."""
    from cli.experiment import orders  # noqa: PLC0415 - only when a command runs

    orders.reason(why)
    target = chosen(ctx)
    found = orders.standing(target)
    experiment = orders.must_be_open(found, "freeze")
    if found.router.state != "testing":
        raise CommandError(f"experiment {experiment.experiment_id} is {found.router.state}: only a testing one freezes")
    orders.confirm(f"Freeze experiment {experiment.experiment_id}?", yes=yes)
    orders.give(target, "freeze", experiment.experiment_id, why, wait)
