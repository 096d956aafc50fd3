"""`usher rollback`: all traffic goes back to the model before, at once."""

from __future__ import annotations

import typer

from cli.commands.operator_options import Wait, Why, Yes
from cli.target import TargetCommand, chosen

app = typer.Typer(add_completion=False)


@app.command(cls=TargetCommand)
def rollback(ctx: typer.Context, *, why: Why, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Send all traffic to the champion while an experiment is open; afterwards, to the model before.

    While it bakes, the old champion comes back. Without an open experiment the other variant's model takes over.
    """
    from cli.experiments import operator_commands  # noqa: PLC0415 - only when a command runs

    operator_commands.reason(why)
    target = chosen(ctx)
    found = operator_commands.standing(target)
    name, model = operator_commands.way_back(found)
    operator_commands.confirm(f"Send all traffic to model {model}?", yes=yes)
    operator_commands.give(target, "roll_back", name, why, wait)
