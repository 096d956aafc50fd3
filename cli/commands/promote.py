"""`usher promote`: the challenger becomes the champion before the evidence says so; only with --force."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands.operator_options import Wait, Why, Yes
from cli.errors import CommandError
from cli.target import TargetCommand, chosen

app = typer.Typer(add_completion=False)

Force = Annotated[bool, typer.Option("--force", help="Promote it though the evidence does not say so.")]


@app.command(cls=TargetCommand)
def promote(ctx: typer.Context, *, why: Why, force: Force = False, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Promote the challenger by hand. Usher does it by itself once the evidence is there."""
    from cli.experiments import operator_commands  # noqa: PLC0415 - only when a command runs

    operator_commands.reason(why)
    target = chosen(ctx)
    found = operator_commands.standing(target)
    experiment = operator_commands.must_be_open(found, "promote")
    if found.router.state == "baking":
        raise CommandError(f"experiment {experiment.experiment_id} is decided: its challenger was promoted and bakes")
    known = operator_commands.evidence(experiment)
    if not force:
        raise CommandError(f"Usher promotes by itself when the evidence is there, so far: {known}. --force does it now")
    model = experiment.model("challenger")
    operator_commands.confirm(f"So far: {known}. Promote model {model} all the same?", yes=yes)
    operator_commands.give(target, "promote", experiment.experiment_id, why, wait)
