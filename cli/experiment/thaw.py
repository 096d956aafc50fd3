"""`usher thaw`: a frozen experiment goes on; what broke its sample ratio is taken as explained."""

from __future__ import annotations

import typer

from cli.experiment.options import Wait, Why, Yes
from cli.failures import CommandError
from cli.target import TargetCommand, chosen

app = typer.Typer(add_completion=False)


@app.command(cls=TargetCommand)
def thaw(ctx: typer.Context, *, why: Why, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Let a frozen experiment go on. Say in --why what the cause was and how it was mended."""
    from cli.experiment import orders  # noqa: PLC0415 - only when a command runs

    orders.reason(why)
    target = chosen(ctx)
    found = orders.standing(target)
    experiment = orders.must_be_open(found, "thaw")
    if found.router.state != "frozen":
        raise CommandError(f"experiment {experiment.experiment_id} is {found.router.state}: there is nothing to thaw")
    orders.confirm(f"Let experiment {experiment.experiment_id} go on?", yes=yes)
    orders.give(target, "thaw", experiment.experiment_id, why, wait)
