"""The command `usher`: finds the sub-command, runs it, and turns any error into one line on stderr."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli.errors import explain, one_line
from cli.formatting.console import err

#: Sub-commands in the order of a first day. A module's `app` is imported when its command is called: boto3, DuckDB and
#: moto together would cost seconds at each `usher --help`.
COMMANDS = {
    "demo": ("cli.commands.demo", "The whole loop, from data to a model that people chose, on a private twin."),
    "twin": ("cli.commands.twin", "The application on this machine: up, down, status."),
    "data": ("cli.commands.data", "Where the data come from: real files, generated ones, MovieLens."),
    "upload": ("cli.commands.upload", "Send files to the landing bucket."),
    "agent": ("cli.commands.agent", "Send a file's rows to their stream, as it grows."),
    "query": ("cli.commands.query", "Ask the lake: a named query, or SQL."),
    "runs": ("cli.commands.runs", "Runs of training: what they decided, what they cost; start one."),
    "run": ("cli.commands.run", "One run: its states, durations, cost, verdict, cause."),
    "report": ("cli.commands.report", "A run's report, as a page."),
    "recommend": ("cli.commands.recommend", "What one person may like."),
    "similar": ("cli.commands.similar", "Items liked by those who liked this one."),
    "popular": ("cli.commands.popular", "What most people like."),
    "feedback": ("cli.commands.feedback", "Say what a person did: a rating, a click, a purchase, a view."),
    "experiment": ("cli.commands.experiment", "How traffic moves to a new model: weights, evidence, decisions."),
    "rollback": ("cli.commands.rollback", "All traffic back to the model before, at once."),
    "promote": ("cli.commands.promote", "The challenger becomes the champion by hand: --force."),
    "freeze": ("cli.commands.freeze", "Hold an experiment: weights stay, nobody new enrols."),
    "thaw": ("cli.commands.thaw", "Let a frozen experiment go on."),
    "quarantine": ("cli.commands.quarantine", "Rows that were refused: list, show, replay."),
    "sample": ("cli.commands.sample", "A function's sample event, for this Usher: for sam local, or to invoke it."),
    "image": ("cli.commands.image", "Build the recommender's image on AWS, without Docker here."),
    "simulate": ("cli.commands.simulate", "How traffic moves from a champion to a challenger, simulated."),
}


#: The exit code that shells give to a command that Ctrl-C ended.
INTERRUPTED = 130


class LazyGroup(TyperGroup):
    """A group whose commands are modules, imported at use; a module that is not there yet is no command."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the group's interface
        return [name for name, (module, _) in COMMANDS.items() if importlib.util.find_spec(module) is not None]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module, summary = COMMANDS[cmd_name]
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name, command.short_help = cmd_name, summary
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def usher(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
) -> None:
    """Usher: recommendations that get better by themselves. The same commands talk to a twin and to an account."""


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
    except typer.Exit as leaving:  # Typer makes one of Ctrl-C too
        code = leaving.exit_code
    except BrokenPipeError:  # `usher query … | head` is no failure
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
    """Print the one line; returns the exit code."""
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
        text = f"{type(error).__name__}: {one_line(str(error))} (repeat with --debug to see where)"
    _print_line(f"usher: {text}")
    return 1


def _print_line(text: str) -> None:
    err().print(text, style="bold red", markup=False)


if __name__ == "__main__":
    main()
