"""The command `usher`: run a sub-command and print any error as one line on stderr."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli.errors import explain, one_line
from cli.formatting.terminal import err

#: Name → (module and attribute of its Typer application, summary), in the order of a first day. A module is imported
#: when its command is called: importing boto3, DuckDB and moto would cost seconds at each `usher --help`.
COMMANDS = {
    "demo": ("cli.commands.demo:app", "Run the whole loop on a private twin, from data to a promoted model."),
    "twin": ("cli.commands.twin:app", "Start, stop and inspect the application on this machine."),
    "data": ("cli.commands.data:app", "Find, generate or download data."),
    "upload": ("cli.commands.upload:app", "Upload files to the landing bucket."),
    "agent": ("cli.commands.agent:app", "Send the rows of growing files to their stream."),
    "query": ("cli.commands.query:app", "Query the lake by name or in SQL."),
    "runs": ("cli.commands.runs:app", "List training runs, or start one."),
    "run": ("cli.commands.runs:one", "Show one run: states, durations, cost, verdict."),
    "report": ("cli.commands.report:app", "Open the evaluation report of a run."),
    "recommend": ("cli.commands.recommend:app", "Recommend items to a user or a session."),
    "similar": ("cli.commands.recommend:similar_items", "List items similar to an item."),
    "popular": ("cli.commands.recommend:popular_items", "List the most popular items."),
    "feedback": ("cli.commands.feedback:app", "Send feedback: a rating, click, purchase or view."),
    "experiment": ("cli.commands.experiment:app", "Show an experiment: traffic weights, evidence, decisions."),
    "rollback": ("cli.commands.operator_commands:rollback_app", "Send all traffic back to the previous model."),
    "promote": ("cli.commands.operator_commands:promote_app", "Promote the challenger by hand."),
    "freeze": ("cli.commands.operator_commands:freeze_app", "Freeze an experiment: weights stay, no new users enrol."),
    "thaw": ("cli.commands.operator_commands:thaw_app", "Resume a frozen experiment."),
    "quarantine": ("cli.commands.quarantine:app", "List, show and replay refused rows."),
    "sample": ("cli.commands.sample:app", "Print a sample event for a Lambda function."),
    "preflight": ("cli.commands.preflight:app", "Check before a deployment what AWS would refuse."),
    "image": ("cli.commands.image:app", "Build the recommender's container image with CodeBuild."),
    "cost": ("cli.commands.cost:app", "Estimate the monthly bill on AWS."),
    "smoke": ("cli.commands.smoke:app", "Deploy, check every promise on generated data, and remove everything."),
    "remove": ("cli.commands.remove:app", "Remove a deployment; its data is kept unless told otherwise."),
    "adopt": ("cli.commands.adopt:app", "Deploy a new stack on the data that a removed one has kept."),
    "simulate": ("cli.commands.simulate:app", "Simulate an experiment, or plan one."),
}


#: The exit code of shells for a command that Ctrl-C ended.
INTERRUPTED = 130


class LazyGroup(TyperGroup):
    """A group whose commands are modules, each imported when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the group's interface
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the group's interface
        if cmd_name not in COMMANDS:
            return None
        place, summary = COMMANDS[cmd_name]
        module, _, attribute = place.partition(":")
        command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
        command.name, command.short_help = cmd_name, summary
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def usher(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Usher: a recommender on AWS that retrains itself. Every command works on a local twin and on an AWS account."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the exit code is 0, 1 (it failed), 2 (it was called wrongly) or 130 (Ctrl-C)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given, debug="--debug" in given))


def run(arguments: list[str], *, debug: bool) -> int:
    """Run one command line and return its exit code."""
    if debug:
        arguments = ["--debug", *(argument for argument in arguments if argument != "--debug")]
    try:
        code = typer.main.get_command(app).main(args=arguments, prog_name="usher", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except typer.Exit as leaving:  # Typer raises it for Ctrl-C too
        code = leaving.exit_code
    except BrokenPipeError:  # `usher query … | head` is not a failure
        sys.stderr.close()
        return 0
    except Exception as error:
        if debug:
            raise
        return _report(error)
    if code == INTERRUPTED:
        err().print("usher: interrupted", style="bold")
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    """Print the error as one line and return the exit code."""
    usage = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # the help has been printed
        return 2
    if usage is not None:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "usher"
        _print_line(f"{path}: {one_line(usage())} (see `{path} --help`)")
        return 2
    text = explain(error)
    if text is None:
        text = f"{type(error).__name__}: {one_line(str(error))} (repeat with --debug for the traceback)"
    _print_line(f"usher: {text}")
    return 1


def _print_line(text: str) -> None:
    err().print(text, style="bold red", markup=False)


if __name__ == "__main__":
    main()
