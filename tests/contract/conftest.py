"""A patched moto server on a free port, and clients for it: what the contract tests talk to.

moto's state belongs to the process, so one server serves the session, and each test starts with an empty account.
USHER_WITHOUT_PATCH=<symbol> leaves one patch out: its contract test has to turn red then (see test_patches.py).
"""

from __future__ import annotations

import io
import json
import logging
import os
import textwrap
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import roles
from twin import children, context, moto_patches
from twin.context import Context
from twin.iam.record import RECORD

REGION = "eu-west-1"


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - a second of imports, only where a server is used

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    left_out = os.environ.get("USHER_WITHOUT_PATCH")
    moto_patches.PATCHES = tuple(patch for patch in moto_patches.PATCHES if patch.symbol != left_out)
    moto_patches.apply()
    threaded = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    threaded.start()
    port = threaded.get_host_and_port()[1]
    entered = Context(f"http://127.0.0.1:{port}", REGION, tmp_path_factory.mktemp("twin"), speed=60.0)
    saved = dict(os.environ)
    os.environ.update(entered.environment(), MOTO_PORT=str(port))  # moto's own parts call back by MOTO_PORT
    context.enter(entered)
    try:
        yield entered
    finally:
        children.close()
        threaded.stop()
        os.environ.clear()
        os.environ.update(saved)


@pytest.fixture
def server(_server: Context) -> Iterator[Context]:
    """The running server with an empty account; its speed is 60 (a minute of AWS's takes a second)."""
    _reset()
    RECORD.take_denials()
    for name in ("r", "sagemaker"):
        roles.administrator(name)
    yield _server
    _reset()


@pytest.fixture
def client(server: Context) -> Callable[[str], Any]:
    """`client("s3")`: boto3 clients for the server, kept for the session."""
    return context.client


@pytest.fixture
def archive() -> Callable[[Mapping[str, str]], bytes]:
    """`archive({"app.py": "..."})`: a zip archive, as a function's code or a layer's content."""

    def build(files: Mapping[str, str]) -> bytes:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as zipped:
            for name, text in files.items():
                zipped.writestr(name, textwrap.dedent(text))
        return written.getvalue()

    return build


@pytest.fixture
def function(
    server: Context, client: Callable[[str], Any], archive: Callable[[Mapping[str, str]], bytes]
) -> Iterator[Callable[..., str]]:
    """`function("def handler(event, context): ...")`: creates a Lambda function that really runs, returns its ARN."""
    from twin.awslambda.pool import Pool  # noqa: PLC0415 - see above

    role = roles.administrator("function")
    pool = Pool(server).start()
    made = 0

    def create(source: str, **settings: Any) -> str:
        nonlocal made
        made += 1
        defaults = {"FunctionName": f"function-{made}", "Runtime": "python3.13", "Handler": "app.handler", "Role": role}
        code = {"ZipFile": archive({"app.py": source})}
        answer = client("lambda").create_function(**{**defaults, "Code": code, "MemorySize": 256, **settings})
        return str(answer["FunctionArn"])

    yield create
    pool.stop()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`eventually(probe, seconds=60)`: what `probe()` returns as soon as it is truthy; fails after `seconds`."""

    def wait(probe: Callable[[], Any], seconds: float = 60.0) -> Any:
        until = time.monotonic() + seconds
        while not (found := probe()):
            assert time.monotonic() < until, f"nothing within {seconds} s from {probe!r}"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture
def project() -> Path:
    """The repository's root."""
    return Path(__file__).parents[2]


def _reset() -> None:
    from moto.moto_api._internal.models import moto_api_backend  # noqa: PLC0415 - see above

    moto_api_backend.reset()


class Workflows:
    """Runs state machines on the twin."""

    def __call__(self, definition: dict[str, Any], given: Any = None, kind: str = "STANDARD") -> dict[str, Any]:
        """Run a state machine to its end: DescribeExecution's answer, with `history` and the `states` entered."""
        return self.finished(self.start(self.create(definition, kind), given))

    def create(self, definition: dict[str, Any], kind: str = "STANDARD") -> str:
        """Make a state machine; its ARN."""
        answer = context.client("stepfunctions").create_state_machine(
            name=f"m{uuid.uuid4().hex}",
            definition=json.dumps(definition),
            roleArn=roles.arn("r"),
            type=kind,
        )
        return str(answer["stateMachineArn"])

    def start(self, machine: str, given: Any = None, **options: Any) -> str:
        """Start an execution; its ARN."""
        given = {} if given is None else given
        answer = context.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(given), **options
        )
        return str(answer["executionArn"])

    def finished(self, arn: str, seconds: float = 90.0) -> dict[str, Any]:
        """Wait for an execution's end."""
        states = context.client("stepfunctions")
        end = time.monotonic() + seconds
        while (found := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < end, f"{arn} still runs after {seconds} s"
            time.sleep(0.02)
        history = states.get_execution_history(executionArn=arn)["events"]
        entered = [event["stateEnteredEventDetails"] for event in history if "stateEnteredEventDetails" in event]
        output = json.loads(found["output"]) if "output" in found else None
        return {**found, "output": output, "history": history, "states": [state["name"] for state in entered]}


@pytest.fixture
def execute(server: Context) -> Workflows:
    """`execute(definition, input)` runs a state machine to its end."""
    return Workflows()
