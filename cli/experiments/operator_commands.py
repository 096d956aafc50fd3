"""What a person tells an experiment to do: written down with who and why, carried out by the shift workflow at once.

The command never writes the router itself. What it leaves behind is one item, so that an order that nothing could carry
out at the moment is carried out by the next tick, and everybody can read later who ordered what.
"""

from __future__ import annotations

import getpass
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from cli.errors import CommandError, one_line
from cli.experiments import presentation, records
from cli.experiments.records import Experiment, Item
from cli.formatting.console import printable, remark, say
from cli.target import Target

if TYPE_CHECKING:
    from usher.store.router import Router

#: So often the outcome is looked for.
POLL_SECONDS = 0.5
WHY_MAX = 500
#: Decisions in which an order's own is looked for; few can follow it while the command waits.
RECENT = 20


@dataclass(frozen=True, slots=True)
class Order:
    """One order. experiment_id: whose record keeps it. at: epoch seconds."""

    action: str
    experiment_id: str
    who: str
    why: str
    at: float

    @property
    def time(self) -> str:
        """The moment as a sort key has it: UTC, to the microsecond."""
        return datetime.fromtimestamp(self.at, UTC).isoformat(timespec="microseconds")

    @property
    def execution_name(self) -> str:
        """Step Functions takes no colon and no plus sign in a name that consoles can show."""
        return "command-" + datetime.fromtimestamp(self.at, UTC).strftime("%Y%m%dT%H%M%S%f")


@dataclass(frozen=True, slots=True)
class Standing:
    """What an order meets: the router, and the experiment that is open or was the last one."""

    router: Router
    experiment: Experiment | None

    @property
    def open(self) -> Experiment | None:
        return self.experiment if self.router.experiment_is_open else None


def standing(target: Target) -> Standing:
    """How things stand; CommandError before the first model serves, or when the open experiment has no record."""
    router = records.router_of(target)
    if router is None:
        raise CommandError("no model serves yet: there is nothing to order (`usher runs`)")
    experiment = records.newest(target, router, RECENT)
    if router.experiment_is_open and experiment is None:
        # The workflow heals this by itself; an order for it would have no record to stand in.
        raise CommandError(f"experiment {router.experiment_id} has no record: the next tick puts the champion back")
    return Standing(router, experiment)


def must_be_open(found: Standing, what: str) -> Experiment:
    """The open experiment; CommandError when none is."""
    if found.open is None:
        champion = found.router.models[found.router.champion]
        raise CommandError(f"no experiment is open: model {champion} has all the traffic, there is nothing to {what}")
    return found.open


def way_back(found: Standing) -> tuple[str, str]:
    """Where a roll back leads: the experiment whose record keeps the order, and the model that serves afterwards.

    CommandError where both variants hold one model, or where no experiment ever stood between the two.
    """
    router = found.router
    if found.open is not None:
        return found.open.experiment_id, found.open.model("champion")
    model = router.models[router.idle_variant]
    if model == router.models[router.champion]:
        raise CommandError(f"both variants hold model {model}: there is no other model to go back to")
    if found.experiment is None:
        raise CommandError(f"no experiment compared model {model} with the one that serves: a new run judges it again")
    return found.experiment.experiment_id, model


def confirm(question: str, *, yes: bool) -> None:
    """Ask, on a terminal; CommandError where nobody can be asked and --yes was not said. A no ends the command."""
    import sys  # noqa: PLC0415 - looked at when it is asked, so that a redirected stdin counts

    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} Nobody can be asked here: say --yes")
    typer.confirm(question, abort=True, err=True)


def give(target: Target, action: str, experiment_id: str, why: str, wait_seconds: float) -> None:
    """Write the order, start the workflow, wait for its answer and print it in one line.

    CommandError when the order was refused, or not carried out in time (it stands, and the next tick takes it).
    """
    order = Order(action, experiment_id, who(target), reason(why), round(time.time(), 6))
    workflow = target.resources.shift_workflow_arn
    if not workflow:
        raise CommandError(f"stack {target.stack_name} has no output ShiftWorkflowArn: deploy this version's template")
    key = _write(target, order)
    started = target.client("stepfunctions").start_execution(
        stateMachineArn=workflow, name=order.execution_name, input=json.dumps({"command": key["sk"]})
    )
    remark(f"ordered as {order.who}; execution {order.execution_name}")
    answered = _wait(target, key, started["executionArn"], wait_seconds)
    _tell(target, order, answered)


def who(target: Target) -> str:
    """Whose order it is: the caller's ARN; on a twin, where all have one, the machine's user too."""
    arn = str(target.client("sts").get_caller_identity()["Arn"])
    return f"{arn} ({getpass.getuser()})" if target.endpoint else arn


def reason(why: str) -> str:
    """The reason on one line; CommandError for an empty or a long one."""
    line = " ".join(why.split())
    if not line or len(line) > WHY_MAX:
        raise CommandError(
            f"--why has {len(line)} characters: it is kept for those who ask later, say it in 1 to {WHY_MAX}"
        )
    return line


def _write(target: Target, order: Order) -> dict[str, str]:
    """Write it down; its key."""
    from usher.store import keys  # noqa: PLC0415
    from usher.store.codec import stored  # noqa: PLC0415 - only when a command runs

    key = keys.command(order.experiment_id, order.time).item()
    fields = {"action": order.action, "operator": order.who, "why": order.why, "at": order.at, "status": "waiting"}
    state_table = records.table_of(target)
    state_table.put_item(Item=key | stored(fields), ConditionExpression="attribute_not_exists(pk)")
    return key


def _wait(target: Target, key: dict[str, str], execution: str, seconds: float) -> Item:
    """The order once it was answered; CommandError when the workflow fails before, or time runs out."""
    from usher.store.codec import loaded  # noqa: PLC0415 - only when a command runs

    state_table, deadline = records.table_of(target), time.monotonic() + seconds
    while True:
        # The execution first: what it has answered before it failed is then seen.
        failure = _failure(target, execution)
        item: Item = loaded(state_table.get_item(Key=key, ConsistentRead=True).get("Item") or {})
        if item.get("status") != "waiting":
            return item
        if failure or time.monotonic() >= deadline:
            said = failure or f"not carried out within {seconds:g} s"
            raise CommandError(f"{said}: the order stands, and the next tick carries it out (`usher experiment`)")
        time.sleep(POLL_SECONDS)


def _failure(target: Target, execution: str) -> str:
    """How the execution failed, or nothing: it runs, or has succeeded, without an answer where another was at work."""
    found = target.client("stepfunctions").describe_execution(executionArn=execution)
    if found["status"] in ("RUNNING", "SUCCEEDED"):
        return ""
    why = one_line(f"{found.get('error', '')}: {found.get('cause', 'no cause was given')}", 200)
    return f"execution {found['name']} ended as {found['status']} ({why})"


def _tell(target: Target, order: Order, answered: Item) -> None:
    """The decision that followed, in one line; CommandError with the workflow's words when there is none."""
    outcome = printable(str(answered.get("outcome", "no outcome is on record")))
    if answered.get("status") != "executed":
        raise CommandError(f"the order was {printable(str(answered.get('status', 'deleted')))}: {outcome}")
    found = records.read(target, order.experiment_id, RECENT)
    taken = [item for item in (found.decisions if found else ()) if item.get("sk") == answered.get("decision")]
    say(presentation.decision_line(taken[0]) if taken else f"{order.action.replace('_', ' ')}: {outcome}")


def evidence(experiment: Experiment) -> str:
    """What speaks for the challenger so far, in one line."""
    numbers: Any = experiment.numbers
    said = []
    if isinstance(numbers.get("z"), int | float):
        bound = numbers.get("bound")
        said.append(f"score {numbers['z']:.2f}" + (f" of {bound:.2f}" if isinstance(bound, int | float) else ""))
    for gauge in presentation.gauges(experiment, presentation.preset_of(experiment)):
        if gauge.name == "better":
            said.append(f"e-value {presentation.e_words(gauge)}")
    if "lift" in numbers:
        said.append(f"lift {presentation.lift_words(numbers)}")
    return ", ".join(said) or "nothing has been counted yet"
