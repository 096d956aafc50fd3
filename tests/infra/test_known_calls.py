"""The twin knows the permissions of every call that this repository makes: functions, layers, commands, demo and
workflows.

A call that no table of twin/iam/calls has fails when it is made under a role; this finds those that no test makes.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pyiceberg.catalog.glue
import pytest

from tests.infra.test_aws_calls import NOT_OPERATIONS, calls, operations
from twin.iam.calls import TABLES, s3

PROJECT = Path(__file__).parents[2]
CALLERS = ("functions", "layers", "containers", "cli", "demo")
WORKFLOWS = sorted((PROJECT / "statemachines").glob("*.asl.json"))

#: botocore's name of an API → the signing name of its table.
SIGNING = {api: table.service for table in TABLES.values() for api in table.boto}
#: What a `.sync` integration calls: it creates the job, asks how it goes, and stops it with the execution.
SYNC = ("Create", "Describe", "Stop")


def is_known(api: str, operation: str) -> bool:
    return operation in (s3.OPERATIONS if api == "s3" else TABLES[SIGNING[api]].operations)


def made_by(folder: str) -> set[tuple[str, str]]:
    """(botocore's API, operation) of each call in a folder's modules."""
    found = set()
    for path in sorted((PROJECT / folder).rglob("*.py")):
        if "build" in path.parts:
            continue
        for call in calls(path.read_text(), str(path)):
            if call.method not in NOT_OPERATIONS and call.method in operations(call.service):
                found.add((call.service, operations(call.service)[call.method]))
    return found


@pytest.mark.parametrize("folder", CALLERS)
def test_each_call_of_the_code_is_in_a_table(folder: str) -> None:
    made = made_by(folder)
    assert made or folder in {"functions", "containers"}
    assert not {f"{api}:{operation}" for api, operation in made if not is_known(api, operation)}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_each_integration_of_a_workflow_is_in_a_table(workflow: Path) -> None:
    """`arn:aws:states:::sagemaker:createTrainingJob.sync` creates, describes and stops."""
    resources = set(re.findall(r"arn:aws:states:::(?:aws-sdk:)?(\w+):(\w+)(\.sync)?", workflow.read_text()))
    assert resources
    for api, action, sync in resources:
        name = action[:1].upper() + action[1:]
        names = [re.sub("^Create", verb, name) for verb in SYNC] if sync else [name]
        assert all(is_known(api, each) for each in names), f"{api}:{names}"


def test_what_botocores_transfers_call_is_in_the_table() -> None:
    """upload_file, download_file and their multipart forms: https://boto3.amazonaws.com/v1/documentation/api/latest/guide/s3.html"""
    single = {"HeadObject", "GetObject", "PutObject"}
    parts = {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"}
    assert single | parts <= s3.OPERATIONS.keys()


def test_pyicebergs_calls_of_glue_are_in_the_table() -> None:
    source = inspect.getsource(pyiceberg.catalog.glue)
    made = {operations("glue")[name] for name in re.findall(r"self\.glue\.(\w+)\(", source)}
    assert {"GetTable", "UpdateTable", "CreateTable"} <= made
    assert made <= TABLES["glue"].operations.keys()


def test_a_call_that_no_table_has_is_found() -> None:
    assert not is_known("glue", "SearchTables")
    assert not is_known("s3", "RestoreObject")
    assert is_known("stepfunctions", "StartExecution")
