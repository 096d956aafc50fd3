"""A deployment is removed, and a new one adopts its lake: queries, further rows and the next run work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, LiveTwin, end, start, wait_until_ready

pytestmark = pytest.mark.slow

SECONDS = 300.0
HEADER = b"userId,movieId,rating,timestamp\n"
SLOW = ["QuietSeconds=80000", "MinNewRows=100000"]


@pytest.fixture
def own_twin(tmp_path: Path) -> Iterator[LiveTwin]:
    """A twin of the test's own: the stack of the shared one serves other tests."""
    process = start(tmp_path, "--speed", "60", *(part for one in SLOW for part in ("--parameter", one)))
    try:
        yield wait_until_ready(process, tmp_path)
    finally:
        end(process)


def usher(twin: LiveTwin, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "cli.main", *arguments]
    environment = {**clean, **twin.environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def load(twin: LiveTwin, outputs: dict[str, str], key: str, rows: int) -> None:
    """Upload ratings, and wait until they are committed."""
    lines = b"".join(b"%d,%d,3.5,964982703\n" % (user, user + 1) for user in range(rows))
    twin.client("s3").put_object(Bucket=outputs["LandingBucket"], Key=key, Body=HEADER + lines)
    table = twin.session.resource("dynamodb", endpoint_url=twin.endpoint).Table(outputs["StateTable"])

    def committed() -> bool:
        items = table.scan(ConsistentRead=True)["Items"]
        return any(item.get("key") == key and item.get("status") == "committed" for item in items)

    eventually(committed)


def count(twin: LiveTwin, stack: str) -> int:
    asked = usher(twin, "query", "--stack-name", stack, "--json", "SELECT count(*) AS n FROM ratings")
    assert asked.returncode == 0, asked.stderr
    return int(json.loads(asked.stdout)[0]["n"])


def outputs_of(twin: LiveTwin, stack: str) -> dict[str, str]:
    found = twin.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}


def serve_something(twin: LiveTwin, outputs: dict[str, str]) -> None:
    """What a run leaves outside of the stack: a package, a model and a config, and the router."""
    sagemaker, name = twin.client("sagemaker"), f"{outputs['EndpointName']}-raaaaaaaaaa-1"
    found = twin.client("cloudformation").describe_stack_resource(
        StackName=twin.running.stack_name, LogicalResourceId="SageMakerRole"
    )["StackResourceDetail"]["PhysicalResourceId"]
    role = f"arn:aws:iam::123456789012:role/{found}"
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/usher/usher-recommender:latest"
    variant = {"VariantName": "A", "ModelName": name, "InstanceType": "ml.c5.large", "InitialInstanceCount": 1}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": image})
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_model_package(
        ModelPackageGroupName=twin.running.stack_name,
        InferenceSpecification={
            "Containers": [{"Image": image}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )
    table = twin.session.resource("dynamodb", endpoint_url=twin.endpoint).Table(outputs["StateTable"])
    router = {"version": 1, "opened_at": 1, "state": "idle", "experiment_id": "", "champion": "A"}
    shares = {"weights": {"A": 1, "B": 0}, "models": {"A": "raaaaaaaaaa-1", "B": "raaaaaaaaaa-1"}}
    table.put_item(Item={"pk": "ROUTER", "sk": "ROUTER", **router, **shares})


def test_a_removed_deployment_keeps_its_lake_and_a_new_stack_adopts_it(own_twin: LiveTwin) -> None:
    twin, old = own_twin, own_twin.outputs
    load(twin, old, "ratings/upload/a.csv", 7)
    serve_something(twin, old)

    refused = usher(twin, "adopt", "--landing-bucket", "x", "--lake-bucket", "x", "--state-table", "x")
    assert refused.returncode == 1 and "only a new stack adopts data" in refused.stderr

    removed = usher(twin, "remove", "--yes")
    assert removed.returncode == 0, removed.stderr
    sagemaker = twin.client("sagemaker")
    assert sagemaker.list_models()["Models"] == sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    assert twin.client("lambda").list_functions()["Functions"] == []
    assert f"Keeps    bucket {old['LakeBucket']}" in removed.stdout
    assert "USD a month" in removed.stdout
    command = removed.stdout.strip().splitlines()[-1].partition("usher ")[2].split()
    names = [old[name] for name in ("LandingBucket", "LakeBucket", "StateTable")]
    assert command == ["adopt", "--landing-bucket", names[0], "--lake-bucket", names[1], "--state-table", names[2]]

    slow = [part for one in SLOW for part in ("--parameter", one)]
    adopted = usher(twin, *command, "--stack-name", "second", *slow)
    assert adopted.returncode == 0, adopted.stderr
    new = outputs_of(twin, "second")
    assert [new[name] for name in ("LandingBucket", "LakeBucket", "StateTable")] == names
    assert count(twin, "second") == 7
    load(twin, new, "ratings/upload/b.csv", 5)
    assert count(twin, "second") == 12
    table = twin.session.resource("dynamodb", endpoint_url=twin.endpoint).Table(new["StateTable"])
    assert "Item" not in table.get_item(Key={"pk": "ROUTER", "sk": "ROUTER"})
    states, run = twin.client("stepfunctions"), "rbbbbbbbbbb-1"
    states.start_execution(stateMachineArn=new["TrainWorkflowArn"], name=run, input="{}")
    key = {"pk": f"RUN#{run}", "sk": "META"}
    plan = eventually(lambda: "plan" in (item := table.get_item(Key=key).get("Item", {})) and item)
    assert int(plan["rows"]) == 12
    kept = twin.client("s3").list_objects_v2(Bucket=new["LakeBucket"], Prefix="deploy/")
    assert kept["KeyCount"] == 0

    gone = usher(twin, "remove", "second", "--everything", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert f"stopped {run}" in gone.stderr and f"deleted bucket {names[0]}" in gone.stderr
    jobs = twin.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"]
    assert not [job for job in jobs if job["ProcessingJobStatus"] in ("InProgress", "Stopping")]
    buckets = {bucket["Name"] for bucket in twin.client("s3").list_buckets()["Buckets"]}
    assert not buckets & set(names)
    assert twin.client("dynamodb").list_tables()["TableNames"] == []
    assert twin.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"] == []
