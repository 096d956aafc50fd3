"""The unmodified `sam deploy` and `aws` work against a twin, on the real template, first and again after a change."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SAM = ROOT / "build/sam/bin/sam"
AWS = ROOT / "build/awscli/bin/aws"
STACK = "by-sam"

PROBE = """
  Probe:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/probe
      Role: !GetAtt IngestStreamRole.Arn
      LoggingConfig: { LogGroup: !Ref IngestStreamLogs }
      Layers: [!Ref CoreLayer]
      LoggingConfig: {LogGroup: !Ref IngestStreamLogs}
      Environment: {Variables: {PROBE: "WORD"}}
"""
LISTENER = """
  Listener: {Type: AWS::SQS::Queue}
"""
HANDLER = """import os
import usher
def handler(event, context):
    return {"number": NUMBER, "word": os.environ["PROBE"], "layer": usher.__name__}
"""


@pytest.fixture(scope="module")
def tool() -> None:
    """`make test-all` makes both; alone, this file asks make for them."""
    if not (SAM.exists() and AWS.exists()):
        made = subprocess.run(
            ["make", "build/sam/bin/sam", "build/awscli/bin/aws"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory, tool: None) -> Path:
    """A copy of the application with a function that says which code and environment it runs with."""
    folder = tmp_path_factory.mktemp("application")
    for name in ("functions", "layers", "statemachines"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def _write(application: Path, number: int, word: str, more: str = "") -> None:
    text = (ROOT / "template.yaml").read_text()
    before, outputs, after = text.partition("\nOutputs:\n")
    (application / "template.yaml").write_text(before + PROBE.replace("WORD", word) + more + outputs + after)
    (application / "functions/probe").mkdir(exist_ok=True)
    (application / "functions/probe/app.py").write_text(HANDLER.replace("NUMBER", str(number)))


def _run(twin: Any, command: list[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **twin.environment, "SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def _deploy(twin: Any, application: Path) -> str:
    options = ["--stack-name", STACK, "--no-confirm-changeset", "--no-progressbar"]
    ran = _run(
        twin,
        [SAM, "deploy", *options, "--parameter-overrides", "DatabaseName=by_sam", "EndpointName=by-sam"],
        application,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


def _ids(twin: Any) -> dict[str, str]:
    listed = twin.client("cloudformation").list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in listed}


def _probe(twin: Any) -> Any:
    answer = twin.client("lambda").invoke(FunctionName=_ids(twin)["Probe"])
    return json.loads(answer["Payload"].read())


@pytest.fixture(scope="module")
def deployed(application: Path, twin: Any) -> Iterator[Path]:
    _write(application, 1, "first", LISTENER)
    out = _deploy(twin, application)
    assert "CREATE_COMPLETE" in out
    assert f"Successfully created/updated stack - {STACK}" in out
    yield application
    deleted = _run(twin, [SAM, "delete", "--stack-name", STACK, "--no-prompts"], application)
    assert deleted.returncode == 0, deleted.stdout + deleted.stderr


def test_sam_deploys_and_deploys_again_after_a_change(deployed: Path, twin: Any) -> None:
    assert _probe(twin) == {"number": 1, "word": "first", "layer": "usher"}
    before = _ids(twin)
    item = {"pk": {"S": "kept"}, "sk": {"S": "kept"}}
    twin.client("dynamodb").put_item(TableName=before["StateTable"], Item=item)
    _write(deployed, 2, "second")
    assert "UPDATE_COMPLETE" in _deploy(twin, deployed)
    assert _probe(twin) == {"number": 2, "word": "second", "layer": "usher"}
    after = _ids(twin)
    assert {name: value for name, value in before.items() if name != "Listener"} == after
    assert "Item" in twin.client("dynamodb").get_item(TableName=after["StateTable"], Key=item)
    assert before["Listener"] not in twin.client("sqs").list_queues()["QueueUrls"]


def test_sam_finds_nothing_to_deploy_without_a_change(deployed: Path, twin: Any) -> None:
    assert "No changes to deploy" in _deploy(twin, deployed)


def test_sam_shows_why_a_deployment_failed_and_the_stack_is_as_before(deployed: Path, twin: Any) -> None:
    before = _ids(twin)
    kept = (deployed / "template.yaml").read_text()
    broken = kept.replace("\nOutputs:\n", "\n  Broken: {Type: AWS::SQS::Queue, Properties: {Wrong: 1}}\n\nOutputs:\n")
    (deployed / "template.yaml").write_text(broken)
    options = [
        "--stack-name",
        STACK,
        "--no-confirm-changeset",
        "--parameter-overrides",
        "DatabaseName=by_sam",
        "EndpointName=by-sam",
    ]
    ran = _run(twin, [SAM, "deploy", *options], deployed)
    (deployed / "template.yaml").write_text(kept)
    assert ran.returncode == 1
    assert "CREATE_FAILED" in ran.stdout
    assert "UPDATE_ROLLBACK_COMPLETE" in ran.stderr
    assert _ids(twin) == before


def test_the_aws_command_works_against_a_twin(tool: None, twin: Any, tmp_path: Path) -> None:
    def aws(*arguments: str) -> str:
        ran = _run(twin, [AWS, *arguments], tmp_path)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    status = aws("cloudformation", "describe-stacks", "--stack-name", "usher", "--query", "Stacks[0].StackStatus")
    assert json.loads(status) == "CREATE_COMPLETE"
    (tmp_path / "file").write_text("content")
    bucket = twin.outputs["LakeBucket"]
    aws("s3", "cp", "file", f"s3://{bucket}/by-cli/file")
    assert aws("s3", "cp", f"s3://{bucket}/by-cli/file", "-") == "content"
    template = tmp_path / "t.yaml"
    template.write_text("Resources:\n  Queue: {Type: AWS::SQS::Queue}\n")
    aws("cloudformation", "deploy", "--template-file", "t.yaml", "--stack-name", "by-cli")
    aws("cloudformation", "delete-stack", "--stack-name", "by-cli")
