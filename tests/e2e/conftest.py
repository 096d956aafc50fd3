"""A real twin for the end-to-end tests: `usher twin up --foreground`, a process with a state folder of its own."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from twin import lifecycle
from twin.iam import record

ROOT = Path(__file__).parents[2]
START_SECONDS = (
    180.0  # it takes some 15; the rest is for a machine with other work, and for a first installation of pins
)
SPEED = 60.0


@dataclass(frozen=True)
class LiveTwin:
    """A running twin. process: its process. running: what its state file says. state: its state folder."""

    process: subprocess.Popen[bytes]
    running: lifecycle.RunningTwin
    state: Path

    @property
    def endpoint(self) -> str:
        """Where every AWS API answers."""
        return self.running.endpoint

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to find this twin and no other."""
        return {**self.running.environment, lifecycle.STATE_FOLDER: str(self.state)}

    @functools.cached_property
    def session(self) -> boto3.Session:
        """A session with the twin's credentials and region."""
        given = self.running.environment
        return boto3.Session(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], None, self.running.region)

    def client(self, service: str) -> Any:
        """A boto3 client for the twin."""
        return self.session.client(service, endpoint_url=self.endpoint)  # type: ignore[call-overload]  # any service

    @functools.cached_property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        stack = self.client("cloudformation").describe_stacks(StackName=self.running.stack_name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def start(state: Path, *options: str, project: Path = ROOT) -> subprocess.Popen[bytes]:
    """Start `usher twin up --foreground` with its own state folder; its output goes to `output` there."""
    state.mkdir(parents=True, exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "cli.main", "twin", "up", "--foreground", "--project", str(project), *options]
    with (state / "output").open("wb") as output:
        environment = {**clean, lifecycle.STATE_FOLDER: str(state)}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)


def wait_until_ready(process: subprocess.Popen[bytes], state: Path) -> LiveTwin:
    """The twin once it is ready; fails the test, with what the process said, when it ends instead."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        running = lifecycle.running(ROOT, state)
        if running is not None:
            return LiveTwin(process, running, state)
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"the twin did not start: {(state / 'output').read_text()[-2000:]}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a twin as Ctrl-C does."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session", autouse=True)
def _permissions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every twin of this session records who was allowed what; a call that nothing allowed fails the session."""
    base = os.environ.get(record.FOLDER)
    folder = Path(base, uuid.uuid4().hex) if base else tmp_path_factory.mktemp("permissions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(record.FOLDER, str(folder))
        yield
    denials = [denial for file in folder.glob("*.json") for denial in json.loads(file.read_text())["denials"]]
    assert not denials, "a role lacks a permission"


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory, _permissions: None) -> Iterator[LiveTwin]:
    """The application on a twin of this test run; at speed 60, so a minute of AWS's takes a second."""
    state = tmp_path_factory.mktemp("state")
    process = start(state, "--speed", str(SPEED))
    try:
        yield wait_until_ready(process, state)
    finally:
        end(process)
