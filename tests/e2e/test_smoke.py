"""`usher smoke` on a twin: the whole loop holds, a promise that fails is named, and nothing is ever left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, LiveTwin

pytestmark = pytest.mark.slow

SECONDS = 900.0


def start(twin: LiveTwin, report: Path, *options: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "cli.main", "smoke", "--yes", "--report", str(report), *options]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**clean, **twin.environment, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str], report: Path) -> tuple[int, dict[str, Any], str]:
    """The exit code, the report, and what the command printed."""
    stdout, stderr = process.communicate(timeout=SECONDS)
    assert report.is_file(), stderr
    return process.returncode, json.loads(report.read_text()), stdout + stderr


def inventory(twin: LiveTwin) -> dict[str, list[str]]:
    """The names of everything that a deployment makes and that costs money or keeps data."""
    listed = {
        "stacks": ("cloudformation", "describe_stacks", "Stacks", "StackName"),
        "buckets": ("s3", "list_buckets", "Buckets", "Name"),
        "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
        "machines": ("stepfunctions", "list_state_machines", "stateMachines", "name"),
        "endpoints": ("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
        "configs": ("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        "models": ("sagemaker", "list_models", "Models", "ModelName"),
        "groups": (
            "sagemaker",
            "list_model_package_groups",
            "ModelPackageGroupSummaryList",
            "ModelPackageGroupName",
        ),
        "databases": ("glue", "get_databases", "DatabaseList", "Name"),
        "repositories": ("ecr", "describe_repositories", "repositories", "repositoryName"),
        "secrets": ("secretsmanager", "list_secrets", "SecretList", "Name"),
        "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    }
    found = {
        kind: sorted(one[name] for one in getattr(twin.client(service), call)()[key])
        for kind, (service, call, key, name) in listed.items()
    }
    return {**found, "tables": sorted(twin.client("dynamodb").list_tables()["TableNames"])}


@pytest.fixture(autouse=True)
def _nothing_is_left(twin: LiveTwin) -> Iterator[None]:
    def ours() -> dict[str, list[str]]:
        return {kind: [name for name in names if "smoke" in name] for kind, names in inventory(twin).items()}

    assert not any(ours().values())
    yield
    assert {kind: names for kind, names in ours().items() if names} == {}


def test_every_promise_holds_and_everything_is_removed(twin: LiveTwin, tmp_path: Path) -> None:
    code, report, printed = end(start(twin, path := tmp_path / "report.json"), path)
    assert {one["promise"]: (one["state"], one["seen"]) for one in report["promises"] if one["state"] != "passed"} == {}
    assert (code, report["passed"], report["removed"], report["interrupted"]) == (0, True, True, False), printed
    assert len(report["promises"]) == 10
    assert "10 of 10 promises hold" in printed
    assert 0 < report["usd"] <= 5


def test_a_promise_that_fails_is_named_and_everything_is_removed(twin: LiveTwin, tmp_path: Path) -> None:
    """The API of this deployment is public."""
    process = start(twin, path := tmp_path / "report.json", "--parameter", "ApiAuthorization=NONE")
    code, report, printed = end(process, path)
    states = [one["state"] for one in report["promises"]]
    assert states == ["passed"] * 5 + ["failed"] + ["unchecked"] * 3 + ["passed"], printed
    assert report["promises"][5]["promise"] == "a request without a signature is refused"
    assert "the API answered 200 to a request without a signature" in report["promises"][5]["seen"]
    assert (code, report["passed"], report["removed"]) == (1, False, True)


def test_ctrl_c_while_a_run_trains_removes_everything(twin: LiveTwin, tmp_path: Path) -> None:
    process = start(twin, path := tmp_path / "report.json")
    assert process.stderr is not None
    for line in process.stderr:
        if "PrepareRun" in line:
            process.send_signal(signal.SIGINT)
            break
    code, report, printed = end(process, path)
    assert (code, report["interrupted"], report["removed"], report["passed"]) == (130, True, True, False), printed
    assert report["promises"][3]["seen"] == "interrupted"


def test_a_test_over_its_budget_deploys_nothing(twin: LiveTwin, tmp_path: Path) -> None:
    process = start(twin, tmp_path / "report.json", "--budget-usd", "0.5")
    _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "over --budget-usd 0.5: raise it, or lower --wait-minutes" in " ".join(stderr.split())


def test_what_preflight_refuses_is_not_deployed(twin: LiveTwin, tmp_path: Path) -> None:
    process = start(twin, tmp_path / "report.json", "--parameter", "TrainingInstanceType=ml.p9.huge")
    stdout, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "SageMaker does not offer for this use" in " ".join(stdout.split())
    assert "nothing was deployed" in stderr
