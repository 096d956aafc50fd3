"""rollback, promote, freeze, thaw: refused where they make no sense, else written with who and why, and waited for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.experiments import operator_commands
from cli.target import Resources, Target
from tests.unit.cli.conftest import create_workflow, failure
from usher.schema import ids
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.router import Router

OLD, NEW = "raaaaaaaaaa-1", "rbbbbbbbbbb-1"
NAME = ids.experiment_id(NEW)
WHY = ("--why", "it looks odd")


@pytest.fixture
def target(stack: Target) -> Target:
    """The stack with a shift workflow that does nothing."""
    stack._resources = Resources(
        landing_bucket="l",
        lake_bucket="k",
        database="d",
        state_table="state",
        workgroup="w",
        shift_workflow_arn=create_workflow(stack, "usher-shift-traffic"),
    )
    return stack


class Stage:
    """Sets the state table up, and answers orders as the workflow does, while the command sleeps."""

    def __init__(self, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table = target.state_table()
        self.target = target
        self.sleeps = 0
        self._patch = monkeypatch

    def put(self, key: keys.Key, **fields: Any) -> None:
        self.table.put_item(Item=key.item() | stored(fields))

    def router(self, state: str = "testing", **changed: Any) -> None:
        first = Router.first(OLD, 1_780_000_000)
        fields = {name: getattr(first, name) for name in Router.__dataclass_fields__}
        open_one = {} if state == "idle" else {"experiment_id": NAME, "weights": {"A": 0.9, "B": 0.1}}
        self.put(keys.ROUTER, **{**fields, "models": {"A": OLD, "B": NEW}, "state": state, **open_one, **changed})

    def meta(self, status: str = "open") -> None:
        models = {"champion": OLD, "challenger": NEW}
        self.put(
            keys.experiment(NAME),
            **{"salt": "s", "started_at": 1_780_000_000, "hour_seconds": 3600, "preset": "default"},
            **{"champion": "A", "challenger": "B", "models": models, "status": status},
        )

    def commands(self) -> list[dict[str, Any]]:
        items = self.table.scan()["Items"]
        return [dict(loaded(item)) for item in items if str(item["sk"]).startswith("COMMAND#")]

    def answers(self, answer: Callable[[dict[str, Any]], None]) -> None:
        def sleep(_: float) -> None:
            self.sleeps += 1
            for command in self.commands():
                answer(command)

        self._patch.setattr(time, "sleep", sleep)

    def update(self, command: dict[str, Any], **fields: Any) -> None:
        self.put(keys.Key(command["pk"], command["sk"]), **{**command, **fields})

    def executions(self) -> list[dict[str, Any]]:
        states = self.target.client("stepfunctions")
        listed = states.list_executions(stateMachineArn=self.target.resources.shift_workflow_arn)["executions"]
        return [states.describe_execution(executionArn=one["executionArn"]) for one in listed]


@pytest.fixture
def stage(target: Target, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(target, monkeypatch)


def call(target: Target, *arguments: str) -> Result:
    return CliRunner().invoke(main.app, list(arguments), obj=target)


# What is refused, before anything is written


@pytest.mark.parametrize("command", ["rollback", "promote", "freeze", "thaw"])
def test_a_command_needs_a_reason(target: Target, command: str) -> None:
    assert main.run([command], debug=False) == 2
    assert "--why has 0 characters" in failure(call(target, command, "--why", " \n "))
    assert "--why has 501 characters" in failure(call(target, command, "--why", "x" * 501))


@pytest.mark.parametrize("command", ["rollback", "promote", "freeze", "thaw"])
def test_before_the_first_deployment_every_command_is_failure(target: Target, stage: Stage, command: str) -> None:
    assert "no model serves yet" in failure(call(target, command, *WHY, "--yes"))
    assert stage.commands() == []


@pytest.mark.parametrize("command", ["promote", "freeze", "thaw"])
def test_without_an_open_experiment_a_change_is_failure(target: Target, stage: Stage, command: str) -> None:
    stage.router("idle")
    stage.meta("closed")
    assert "no experiment is open" in failure(call(target, command, *WHY, "--yes"))
    assert stage.commands() == []


def test_a_rollback_is_refused_when_both_variants_hold_the_same_model(target: Target, stage: Stage) -> None:
    stage.router("idle", models={"A": OLD, "B": OLD})
    assert f"both variants hold model {OLD}" in failure(call(target, "rollback", *WHY, "--yes"))


@pytest.mark.parametrize(
    ("command", "state", "line"),
    [
        ("freeze", "frozen", "is frozen: only a testing experiment freezes"),
        ("freeze", "baking", "is baking: only a testing experiment freezes"),
        ("thaw", "testing", "is testing: only a frozen experiment thaws"),
        ("promote", "baking", "has promoted its challenger already"),
    ],
)
def test_a_command_that_does_not_fit_the_state_is_failure(
    target: Target, stage: Stage, command: str, state: str, line: str
) -> None:
    stage.router(state)
    stage.meta()
    assert line in failure(call(target, command, *WHY, "--yes", *(["--force"] if command == "promote" else [])))
    assert stage.commands() == [] and stage.executions() == []


def test_a_rollback_to_a_model_that_no_experiment_compared_is_failure(target: Target, stage: Stage) -> None:
    stage.router("idle")
    assert f"no experiment compared model {NEW}" in failure(call(target, "rollback", *WHY, "--yes"))


def test_a_command_that_was_deleted_is_reported(target: Target, stage: Stage) -> None:
    stage.router()
    stage.meta()
    stage.answers(lambda command: stage.table.delete_item(Key={name: command[name] for name in ("pk", "sk")}))
    assert "the command was deleted" in failure(call(target, "freeze", *WHY, "--yes"))


def test_an_experiment_without_a_record_takes_no_commands(target: Target, stage: Stage) -> None:
    stage.router()
    assert "has no record" in failure(call(target, "rollback", *WHY, "--yes"))


def test_promote_without_force_shows_the_evidence(target: Target, stage: Stage) -> None:
    stage.router()
    stage.meta()
    numbers = {"z": 1.25, "bound": 3.1, "log_e_promote": 1.1, "lift": 0.04, "lift_low": -0.1, "lift_high": 0.2}
    stage.put(keys.experiment_state(NAME), summary={"numbers": numbers})
    line = failure(call(target, "promote", *WHY, "--yes"))
    assert "score 1.25 of 3.10, e-value 3 of 500, lift +4.0% (-10.0% to +20.0%)" in line
    assert "Promote it anyway with --force" in line
    assert stage.commands() == []


def test_without_a_terminal_yes_is_required(target: Target, stage: Stage) -> None:
    stage.router()
    stage.meta()
    assert f"Send all traffic to model {OLD}? There is no terminal to confirm on: add --yes" in failure(
        call(target, "rollback", *WHY)
    )
    assert stage.commands() == []


def test_a_stack_without_the_workflow_is_one_line(target: Target, stage: Stage) -> None:
    stage.router()
    stage.meta()
    target._resources = Resources(landing_bucket="l", lake_bucket="k", database="d", state_table="state", workgroup="w")
    assert "has no output ShiftWorkflowArn" in failure(call(target, "freeze", *WHY, "--yes"))
    assert stage.commands() == []


def test_a_command_that_the_workflow_refuses_fails_with_its_reason(target: Target, stage: Stage) -> None:
    stage.router()
    stage.meta()
    stage.answers(lambda command: stage.update(command, status="refused", outcome="it has just closed\x1b[31m"))
    assert "the command was refused: it has just closed\\x1b[31m" in failure(call(target, "freeze", *WHY, "--yes"))


def test_a_command_that_is_not_executed_in_time_stays_waiting(target: Target, stage: Stage) -> None:
    stage.router()
    stage.meta()
    line = failure(call(target, "freeze", *WHY, "--yes", "--wait", "0"))
    assert "not executed within 0 s: the next tick executes the command" in line
    assert [command["status"] for command in stage.commands()] == ["waiting"]


def test_a_failed_workflow_is_reported(target: Target, stage: Stage) -> None:
    stage.router()
    stage.meta()

    def stop(_: dict[str, Any]) -> None:
        for execution in stage.executions():
            target.client("stepfunctions").stop_execution(executionArn=execution["executionArn"], cause="by hand")

    stage.answers(stop)
    line = failure(call(target, "freeze", *WHY, "--yes"))
    assert "ended as ABORTED" in line and "the next tick executes the command" in line
    assert stage.sleeps == 1, "a failed workflow is not waited for"


def test_a_command_that_was_executed_before_the_workflow_failed_counts_as_executed(
    target: Target, stage: Stage
) -> None:
    stage.router()
    stage.meta()

    def obey_and_fail(command: dict[str, Any]) -> None:
        stage.update(command, status="executed", outcome="frozen")
        for execution in stage.executions():
            target.client("stepfunctions").stop_execution(executionArn=execution["executionArn"], cause="later")

    stage.answers(obey_and_fail)
    assert call(target, "freeze", *WHY, "--yes").stdout == "freeze: frozen\n"


# What is written, and what comes of it


def test_a_command_is_stored_with_operator_and_reason_and_starts_the_workflow(target: Target, stage: Stage) -> None:
    stage.router()
    stage.meta()
    stage.answers(lambda command: stage.update(command, status="executed", outcome="frozen"))
    result = call(target, "freeze", "--why", "the tracker\n is down", "--yes")
    assert result.exit_code == 0, result.exception
    assert result.stdout == "freeze: frozen\n"
    (command,) = stage.commands()
    assert command["pk"] == keys.experiment(NAME).pk
    assert (command["action"], command["why"]) == ("freeze", "the tracker is down")
    assert command["operator"].startswith("arn:aws:sts::123456789012:")
    (execution,) = stage.executions()
    assert json.loads(execution["input"]) == {"command": command["sk"]}
    assert execution["name"].startswith("command-2") and ":" not in execution["name"]
    assert stage.sleeps == 1


def test_on_a_twin_the_operator_includes_the_machines_user(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    assert not operator_commands.operator_of(target).endswith(" (ada)")
    target.endpoint = "http://127.0.0.1:1"  # the client is there already and still moto's
    assert operator_commands.operator_of(target).endswith(" (ada)")


@pytest.mark.parametrize(
    ("command", "action", "more"),
    [("rollback", "roll_back", ()), ("promote", "promote", ("--force",)), ("thaw", "thaw", ())],
)
def test_the_decision_that_follows_is_printed(
    target: Target, stage: Stage, command: str, action: str, more: tuple[str, ...]
) -> None:
    stage.router("frozen" if command == "thaw" else "testing")
    stage.meta()

    def decide(command: dict[str, Any]) -> None:
        taken = {"decision": action, "reason": f"ordered by {command['operator']}: {command['why']}", "at": time.time()}
        stage.put(
            keys.decision(NAME, "2020-01-01T00:00:00+00:00"),
            **{**taken, "at": 1_577_836_800, "by": command["operator"]},
        )
        stage.put(keys.decision(NAME, "2026-01-01T00:00:00+00:00"), **taken, by=command["operator"], why=command["why"])
        stage.update(command, status="executed", decision="DECISION#2026-01-01T00:00:00+00:00")

    stage.answers(decide)
    result = call(target, command, *WHY, "--yes", *more)
    assert result.exit_code == 0, result.exception
    assert result.stdout.startswith(f"{action.replace('_', ' ')}: ordered by arn:")
    assert result.stdout.count("\n") == 1
    assert [command["action"] for command in stage.commands()] == [action]


def test_a_rollback_without_an_open_experiment_is_recorded_in_the_last_one(target: Target, stage: Stage) -> None:
    stage.router("idle", champion="B", weights={"A": 0.0, "B": 1.0})
    stage.meta("closed")
    stage.answers(lambda command: stage.update(command, status="executed"))
    assert call(target, "rollback", *WHY, "--yes").exit_code == 0
    (command,) = stage.commands()
    assert (command["pk"], command["action"]) == (keys.experiment(NAME).pk, "roll_back")
