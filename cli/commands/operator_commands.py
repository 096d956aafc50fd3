"""`usher rollback`, `usher promote`, `usher freeze` and `usher thaw`: the operator's commands to an experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CommandError
from cli.target import TargetCommand, chosen

if TYPE_CHECKING:
    from cli.experiments.operator_commands import CommandContext

rollback_app, promote_app, freeze_app, thaw_app = (typer.Typer(add_completion=False) for _ in range(4))

Why = Annotated[str, typer.Option("--why", help="The reason; it is stored with your name.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Wait = Annotated[float, typer.Option("--wait", min=0.0, max=3600.0, help="Seconds to wait for the outcome.")]
Force = Annotated[bool, typer.Option("--force", help="Promote before the evidence suffices.")]

#: Checks the command: the id of the experiment that records it, and the question to confirm.
Check = Callable[["CommandContext"], tuple[str, str]]


@rollback_app.command(cls=TargetCommand)
def rollback(ctx: typer.Context, *, why: Why, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Send all traffic to the champion of the open experiment, or back to the previous model.

    After a promotion, while the new champion is still on trial (baking), the old champion returns. Without an open
    experiment, the model of the idle variant takes over.
    """

    def check(context: CommandContext) -> tuple[str, str]:
        experiment_id, model = context.rollback_model()
        return experiment_id, f"Send all traffic to model {model}?"

    _send(ctx, "roll_back", check, why, yes=yes, wait=wait)


@promote_app.command(cls=TargetCommand)
def promote(ctx: typer.Context, *, why: Why, force: Force = False, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Promote the challenger by hand. Without this command Usher promotes it when the evidence suffices."""

    def check(context: CommandContext) -> tuple[str, str]:
        from cli.experiments.presentation import evidence  # noqa: PLC0415 - only when a command runs

        experiment = context.open_experiment("promote")
        if context.router.state == "baking":
            raise CommandError(f"experiment {experiment.experiment_id} has promoted its challenger already")
        known = evidence(experiment)
        if not force:
            raise CommandError(f"the evidence does not suffice yet: {known}. Promote it anyway with --force")
        model = experiment.model("challenger")
        return experiment.experiment_id, f"Evidence so far: {known}. Promote model {model} anyway?"

    _send(ctx, "promote", check, why, yes=yes, wait=wait)


@freeze_app.command(cls=TargetCommand)
def freeze(ctx: typer.Context, *, why: Why, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Freeze an experiment: weights stay, no new users enrol. Guardrails stay on and can still roll back."""

    def check(context: CommandContext) -> tuple[str, str]:
        experiment = context.open_experiment("freeze")
        if context.router.state != "testing":
            state = context.router.state
            raise CommandError(f"experiment {experiment.experiment_id} is {state}: only a testing experiment freezes")
        return experiment.experiment_id, f"Freeze experiment {experiment.experiment_id}?"

    _send(ctx, "freeze", check, why, yes=yes, wait=wait)


@thaw_app.command(cls=TargetCommand)
def thaw(ctx: typer.Context, *, why: Why, yes: Yes = False, wait: Wait = 90.0) -> None:
    """Resume a frozen experiment. Give the cause of the freeze and its fix in --why."""

    def check(context: CommandContext) -> tuple[str, str]:
        experiment = context.open_experiment("thaw")
        if context.router.state != "frozen":
            state = context.router.state
            raise CommandError(f"experiment {experiment.experiment_id} is {state}: only a frozen experiment thaws")
        return experiment.experiment_id, f"Resume experiment {experiment.experiment_id}?"

    _send(ctx, "thaw", check, why, yes=yes, wait=wait)


def _send(  # noqa: PLR0913 - the options of the commands
    ctx: typer.Context, action: str, check: Check, why: str, *, yes: bool, wait: float
) -> None:
    """Check the command against the router, confirm it, send it, wait for the outcome and print it."""
    from cli.experiments import operator_commands  # noqa: PLC0415 - only when a command runs

    reason = operator_commands.checked_reason(why)
    target = chosen(ctx)
    experiment_id, question = check(operator_commands.read_context(target))
    _confirm(question, yes=yes)
    operator_commands.send(target, action, experiment_id, reason, wait)


def _confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; CommandError without a terminal unless --yes is given. "No" ends the command."""
    import sys  # noqa: PLC0415 - read when the question is asked, so that a redirected stdin counts

    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} There is no terminal to confirm on: add --yes")
    typer.confirm(question, abort=True, err=True)
