"""`usher freeze`: weights stay, nobody new enrols and nothing is promoted until somebody thaws it."""

from __future__ import annotations

import typer

from cli.commands.operator_options import Wait, Why, Yes
from cli.errors import CommandError
from cli.target import TargetCommand, chosen

app = typer.Typer(add_completion=False)


@app.command(cls=TargetCommand)
def freeze(ctx: typer.Context, *, why: Why, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Hold an experiment as it is. Guardrails stay on: a challenger that breaks is still rolled back."""
    from cli.experiments import operator_commands  # noqa: PLC0415 - only when a command runs

    operator_commands.reason(why)
    target = chosen(ctx)
    found = operator_commands.standing(target)
    experiment = operator_commands.must_be_open(found, "freeze")
    if found.router.state != "testing":
        raise CommandError(f"experiment {experiment.experiment_id} is {found.router.state}: only a testing one freezes")
    operator_commands.confirm(f"Freeze experiment {experiment.experiment_id}?", yes=yes)
    operator_commands.give(target, "freeze", experiment.experiment_id, why, wait)
