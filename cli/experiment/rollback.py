"""`usher rollback`: all traffic goes back to the model before, at once."""

from __future__ import annotations

import typer

from cli.experiment.options import Wait, Why, Yes
from cli.target import TargetCommand, chosen

app = typer.Typer(add_completion=False)


@app.command(cls=TargetCommand)
def rollback(ctx: typer.Context, *, why: Why, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Send all traffic to the champion while an experiment is open; afterwards, to the model before.

    While it bakes, the old champion comes back. Without an open experiment the other variant's model takes over.
    """
    from cli.experiment import orders  # noqa: PLC0415 - only when a command runs

    orders.reason(why)
    target = chosen(ctx)
    found = orders.standing(target)
    name, model = orders.way_back(found)
    orders.confirm(f"Send all traffic to model {model}?", yes=yes)
    orders.give(target, "roll_back", name, why, wait)
