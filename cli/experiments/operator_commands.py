"""Send an operator command to an experiment: store it with operator and reason, start the shift workflow, wait.

The CLI never writes the router. It stores one item, so that a command which the workflow cannot execute at once is
executed by the next tick, and the record shows which operator commanded what.
"""

from __future__ import annotations

import getpass
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from cli.errors import CommandError, one_line
from cli.experiments import presentation, records
from cli.experiments.records import Experiment, Item
from cli.formatting.terminal import printable, remark, say
from cli.target import Target
from usher.store.operator_commands import TEXT_MAX, WAITING, read_command, write_command
from usher.store.router import Router

#: Seconds between two polls of the outcome.
POLL_SECONDS = 0.5
#: The newest decisions to search for the one that followed the command.
RECENT = 20


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What a command applies to: the router, and the open experiment or the last one."""

    router: Router
    experiment: Experiment | None

    def open_experiment(self, action: str) -> Experiment:
        """The open experiment; CommandError when none is open."""
        if self.experiment is None or not self.router.experiment_is_open:
            champion = self.router.models[self.router.champion]
            raise CommandError(
                f"no experiment is open, model {champion} has all the traffic: "
                f"{action} when one is open (`usher experiment`)"
            )
        return self.experiment

    def rollback_model(self) -> tuple[str, str]:
        """The experiment that records a rollback, and the model that serves after it.

        Raises CommandError when both variants hold the same model, or no experiment compared the two.
        """
        if self.experiment is not None and self.router.experiment_is_open:
            return self.experiment.experiment_id, self.experiment.model("champion")
        model = self.router.models[self.router.idle_variant]
        if model == self.router.models[self.router.champion]:
            raise CommandError(f"both variants hold model {model}: start a new run for another (`usher runs start`)")
        if self.experiment is None:
            raise CommandError(f"no experiment compared model {model} with the champion: start one with a new run")
        return self.experiment.experiment_id, model


def read_context(target: Target) -> CommandContext:
    """Read the router and the experiment; CommandError before the first deployment and when a record is missing."""
    router = records.router_of(target)
    if router is None:
        raise CommandError("no model serves yet: start a run first (`usher runs start`)")
    experiment = records.newest(target, router, RECENT)
    if router.experiment_is_open and experiment is None:
        # The workflow repairs this by itself; a command would have no record to belong to.
        raise CommandError(
            f"experiment {router.experiment_id} has no record: wait for the next tick, which restores the champion"
        )
    return CommandContext(router, experiment)


def send(target: Target, action: str, experiment_id: str, why: str, wait_seconds: float) -> None:
    """Store the command, start the workflow, wait for the outcome and print it.

    Raises CommandError when the command is refused, or not executed in time (the next tick then executes it).
    """
    workflow = target.resources.shift_workflow_arn
    if not workflow:
        raise CommandError(
            f"stack {target.stack_name} has no output ShiftWorkflowArn: deploy the current template.yaml"
        )
    at, operator = round(time.time(), 6), operator_of(target)
    moment = datetime.fromtimestamp(at, UTC)
    sk = write_command(target.state_table(), experiment_id, action=action, operator=operator, why=why, at=at)
    name = f"command-{moment:%Y%m%dT%H%M%S%f}"  # an execution's name takes no colon
    execution = target.client("stepfunctions").start_execution(
        stateMachineArn=workflow, name=name, input=json.dumps({"command": sk})
    )["executionArn"]
    remark(f"sent as {operator}; execution {name}")
    _print_outcome(target, action, experiment_id, _wait(target, (experiment_id, sk), execution, wait_seconds))


def operator_of(target: Target) -> str:
    """The caller's ARN; on a twin, whose callers share one ARN, with the name of the machine's user."""
    arn = str(target.client("sts").get_caller_identity()["Arn"])
    return f"{arn} ({getpass.getuser()})" if target.endpoint else arn


def checked_reason(why: str) -> str:
    """The reason on one line; CommandError when it is empty or too long."""
    line = " ".join(why.split())
    if not line or len(line) > TEXT_MAX:
        raise CommandError(f"--why has {len(line)} characters: give a reason of 1 to {TEXT_MAX} characters")
    return line


def _wait(target: Target, command_key: tuple[str, str], execution: str, seconds: float) -> Item:
    """The command with its outcome; CommandError when the workflow fails before, or the time is over."""
    table, deadline = target.state_table(), time.monotonic() + seconds
    while True:
        # The execution first: an outcome that it stored before it failed is then seen.
        failure = _failure(target, execution)
        command = read_command(table, *command_key)
        if command.get("status") != WAITING:
            return command
        if failure or time.monotonic() >= deadline:
            cause = failure or f"not executed within {seconds:g} s"
            raise CommandError(f"{cause}: the next tick executes the command; `usher experiment` shows it")
        time.sleep(POLL_SECONDS)


def _failure(target: Target, execution: str) -> str:
    """How the execution failed; empty while it runs and when it succeeded."""
    found = target.client("stepfunctions").describe_execution(executionArn=execution)
    if found["status"] in ("RUNNING", "SUCCEEDED"):
        return ""
    why = one_line(f"{found.get('error', '')}: {found.get('cause', 'no cause was given')}", 200)
    return f"execution {found['name']} ended as {found['status']} ({why})"


def _print_outcome(target: Target, action: str, experiment_id: str, command: Item) -> None:
    """Print the decision that followed; CommandError with the reason when the command was not executed."""
    outcome = printable(str(command.get("outcome", "no outcome is stored")))
    if command.get("status") != "executed":
        raise CommandError(f"the command was {printable(str(command.get('status', 'deleted')))}: {outcome}")
    found = records.read(target, experiment_id, RECENT)
    made = [item for item in (found.decisions if found else ()) if item.get("sk") == command.get("decision")]
    say(presentation.decision_line(made[0]) if made else f"{action.replace('_', ' ')}: {outcome}")
