"""`usher thaw`: a frozen experiment goes on; what broke its sample ratio is taken as explained."""

from __future__ import annotations

import typer

from cli.commands.operator_options import Wait, Why, Yes
from cli.errors import CommandError
from cli.target import TargetCommand, chosen

app = typer.Typer(add_completion=False)


@app.command(cls=TargetCommand)
def thaw(ctx: typer.Context, *, why: Why, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Let a frozen experiment go on. Say in --why what the cause was and how it was mended."""
    from cli.experiments import operator_commands  # noqa: PLC0415 - only when a command runs

    operator_commands.reason(why)
    target = chosen(ctx)
    found = operator_commands.standing(target)
    experiment = operator_commands.must_be_open(found, "thaw")
    if found.router.state != "frozen":
        raise CommandError(f"experiment {experiment.experiment_id} is {found.router.state}: there is nothing to thaw")
    operator_commands.confirm(f"Let experiment {experiment.experiment_id} go on?", yes=yes)
    operator_commands.give(target, "thaw", experiment.experiment_id, why, wait)
