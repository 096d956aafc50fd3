"""Each function, deployed, takes its sample event in the real Lambda runtime and gives a sensible answer.

On a twin with data and one finished run; the samples are `usher sample`'s, so they are about what is there.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import runs
from cli.commands import sample
from cli.target import Target, of_twin
from demo.generator.files import generate
from demo.generator.world import Size

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in PROJECT.glob("functions/*/app.py"))
SECONDS = 420.0
#: No run starts by itself: what a sample does must not meet another run.
PARAMETERS = {"MinNewRows": "1000000000", "TuningTrials": "1"}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A twin of this file's own."""
    spec = importlib.util.spec_from_file_location("samples_twin", Path(__file__).with_name("conftest.py"))
    assert spec is not None and spec.loader is not None  # a conftest is no module: it is loaded by its path
    twins = importlib.util.module_from_spec(spec)
    sys.modules["samples_twin"] = twins
    spec.loader.exec_module(twins)
    state = tmp_path_factory.mktemp("samples")
    parameters = [part for each in PARAMETERS.items() for part in ("--parameter", "=".join(each))]
    process = twins.start(state, "--speed", "60", *parameters)
    try:
        yield twins.wait_until_ready(process, state)
    finally:
        twins.end(process)


@pytest.fixture(scope="module")
def target(twin: Any, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The twin with four files in its lake and one run behind it."""
    from cli.commands.upload import read_headers, send_all  # noqa: PLC0415
    from cli.uploads.send import faults, follow  # noqa: PLC0415 - boto3

    target, folder = of_twin(twin.running), tmp_path_factory.mktemp("data")
    generate(folder, Size(200, 300, 12_000), 5)
    sent = send_all(target, read_headers([folder]))
    entries = list(follow(target, sent, SECONDS))[-1]
    assert not faults(entries, sent)
    runs.start(target)
    eventually(lambda: runs.newest(target, 1)[0].ended_at)
    assert runs.newest(target, 1)[0].overall_status == "succeeded"
    return target


def eventually(probe: Callable[[], Any]) -> Any:
    until = time.monotonic() + SECONDS
    while not (found := probe()):
        assert time.monotonic() < until, f"nothing within {SECONDS:.0f} s"
        time.sleep(0.2)
    return found


def invoke(target: Target, name: str) -> Any:
    """Invoke the deployed function with its sample; fails the test when it fails."""
    logical_id = "".join(part.capitalize() for part in name.split("_"))
    found = target.client("cloudformation").describe_stack_resource(
        StackName=target.stack_name, LogicalResourceId=logical_id
    )
    answer = target.client("lambda").invoke(
        FunctionName=found["StackResourceDetail"]["PhysicalResourceId"],
        Payload=json.dumps(sample.fill(target, name)).encode(),
    )
    body = answer["Payload"].read()
    assert "FunctionError" not in answer, body
    return json.loads(body)


def committed(target: Target) -> dict[str, tuple[str, int]]:
    """What the state table says of each landing object: status, and rows in the lake."""
    digest = json.loads(sample.fill(target, "catalog_objects")["Records"][0]["body"])["digest"]
    return {key: (entry.status, entry.rows_ok) for key, entry in target.ingested_objects().find_all([digest]).items()}


def taken_once(target: Target, answer: Any) -> bool:
    """A message that comes again is taken, and changes nothing."""
    ((status, rows),) = committed(target).values()
    return bool(answer == {"batchItemFailures": []} and status == "committed" and rows > 0)


def tables_are_there(target: Target, _answer: Any) -> bool:
    """CloudFormation was told so, where the sample says."""
    found = target.client("s3").get_object(Bucket=target.resources.lake_bucket, Key=sample.RESPONSE_KEY)
    told = json.loads(found["Body"].read())
    return bool(told["Status"] == "SUCCESS" and {"ratings", "events", "quarantine"} <= told["Data"].keys())


def lock_is_taken_and_given_back(target: Target, answer: Any) -> bool:
    """prepare_run's made-up run is planned, and prepare_next's sample is then its end."""
    run_id = answer["run_id"]
    ending = json.loads(sample.fill(target, "prepare_next")["Records"][0]["body"])["detail"]
    assert (ending["name"], ending["status"]) == (run_id, "ABORTED")
    assert invoke(target, "prepare_next") == {"batchItemFailures": []}
    again = json.loads(sample.fill(target, "prepare_next")["Records"][0]["body"])["detail"]
    return bool(again["name"] != run_id and again["status"] == "SUCCEEDED")


def recommended(_target: Target, answer: Any) -> bool:
    body = json.loads(answer["body"])
    return bool(answer["statusCode"] == 200 and len(body["items"]) == 5 and body["level"] != "popular")


CHECKS: dict[str, Callable[[Target, Any], bool]] = {
    "catalog_objects": taken_once,
    "catalog_tables": tables_are_there,
    "deploy_experiment": lambda _, answer: answer["variant"] in ("A", "B") and answer["router_version"] >= 1,
    "evaluate_gate": lambda _, answer: answer["passed"] and answer["verdict"] == "pass",
    "ingest_feedback": lambda _, answer: answer["statusCode"] == 202 and json.loads(answer["body"])["accepted"],
    "ingest_objects": taken_once,
    "ingest_stream": lambda _, answer: [record["result"] for record in answer["records"]] == ["Ok", "Dropped"],
    "prepare_next": lambda _, answer: answer == {"batchItemFailures": []},
    "prepare_run": lock_is_taken_and_given_back,
    "recommend_items": recommended,
    "shift_traffic": lambda _, answer: not answer["weights"] and "no experiment" in answer["reason"],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_its_sample(target: Target, name: str) -> None:
    answer = invoke(target, name)
    assert CHECKS[name](target, answer), answer
