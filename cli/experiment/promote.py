"""`usher promote`: the challenger becomes the champion before the evidence says so; only with --force."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.experiment.options import Wait, Why, Yes
from cli.failures import CommandError
from cli.target import TargetCommand, chosen

app = typer.Typer(add_completion=False)

Force = Annotated[bool, typer.Option("--force", help="Promote it though the evidence does not say so.")]


@app.command(cls=TargetCommand)
def promote(ctx: typer.Context, *, why: Why, force: Force = False, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Promote the challenger by hand. Usher does it by itself once the evidence is there."""
    from cli.experiment import orders  # noqa: PLC0415 - only when a command runs

    orders.reason(why)
    target = chosen(ctx)
    found = orders.standing(target)
    experiment = orders.must_be_open(found, "promote")
    if found.router.state == "baking":
        raise CommandError(f"experiment {experiment.experiment_id} is decided: its challenger was promoted and bakes")
    known = orders.evidence(experiment)
    if not force:
        raise CommandError(f"Usher promotes by itself when the evidence is there, so far: {known}. --force does it now")
    model = experiment.model("challenger")
    orders.confirm(f"So far: {known}. Promote model {model} all the same?", yes=yes)
    orders.give(target, "promote", experiment.experiment_id, why, wait)
