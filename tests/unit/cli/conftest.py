"""Fixtures of the commands' tests: a stack on moto in this process, and commands that run on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli import main
from cli.errors import explain
from cli.target import Target
from tests.unit.state_table import STATE_TABLE

Run = Callable[..., Result]


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """A stack on moto that has only its state table; each module's `target` adds what its commands need."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1")
        found = Target(session, "usher", "the twin")
        found.client("dynamodb").create_table(**STATE_TABLE)
        yield found


@pytest.fixture
def run(target: Target) -> Run:
    """`run("upload", path)`: the result of a command on the module's `target`."""

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(main.app, [str(argument) for argument in arguments], obj=target)

    return call


def failure(result: Result) -> str:
    """The one line that `main` prints for a failed command."""
    assert result.exit_code == 1, result.output
    assert result.exception is not None, result.output
    text = explain(result.exception)
    assert text is not None, repr(result.exception)
    assert "\n" not in text
    return text


def create_workflow(target: Target, name: str) -> str:
    """Create a workflow that succeeds at once; its ARN."""
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    created = target.client("stepfunctions").create_state_machine(
        name=name, definition=definition, roleArn="arn:aws:iam::123456789012:role/r"
    )
    return str(created["stateMachineArn"])
