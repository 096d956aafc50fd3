"""Every task of both workflows makes a request that AWS takes: names, types, required members, lengths, patterns.

Literal parts are checked here; what queries give is checked by the twin's Step Functions whenever a test runs them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from twin.stepfunctions import requests

FOLDER = Path(__file__).parents[2] / "statemachines"
#: What the template fills in, by the name of the substitution.
VALUES = {
    "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:usher-PrepareRun-ABCDEFGHIJKL",
    "RoleArn": "arn:aws:iam::123456789012:role/usher-SageMakerRole-ABCDEFGHIJKL",
    "ModelPackageGroup": "usher",
    "EndpointName": "usher",
    "StateTable": "usher-StateTable-ABCDEFGHIJKL",
    "Region": "eu-west-1",
}


def _value(match: re.Match[str]) -> str:
    (found,) = [value for name, value in VALUES.items() if match[1].endswith(name)]
    return found


def machine(path: Path) -> Any:
    return json.loads(re.sub(r"\$\{(\w+)\}", _value, path.read_text()))


def tasks(program: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in program["States"].items():
        if state["Type"] == "Task":
            yield name, state
        if "ItemProcessor" in state:
            yield from tasks(state["ItemProcessor"])


TASKS = {name: state for path in sorted(FOLDER.glob("*.json")) for name, state in tasks(machine(path))}


def test_all_tasks_are_checked_by_a_model_of_their_service() -> None:
    assert len(TASKS) > 18
    assert [name for name, task in TASKS.items() if requests.Integration.of(task["Resource"]).shape is None] == []  # type: ignore[union-attr]


@pytest.mark.parametrize("name", TASKS)
def test_the_literal_parts_of_every_request_are_what_aws_takes(name: str) -> None:
    assert list(requests.literal_violations(TASKS[name], "JSONata")) == []


@pytest.mark.parametrize(
    ("state", "path", "value", "words"),
    [
        ("CreateModel", ("ModelNam",), "m", 'The field "ModelNam" is not supported by Step Functions'),
        ("CreateModel", ("modelName",), "m", 'The field "modelName" is not supported by Step Functions'),
        ("CreateModel", ("PrimaryContainer", "Mode"), "Both", "enum value set: [SingleModel, MultiModel]"),
        ("CreateModel", ("EnableNetworkIsolation",), "yes", '"EnableNetworkIsolation" must be a BOOLEAN'),
        ("CreateModel", ("DeploymentRecommendation",), {}, '"DeploymentRecommendation" is not supported'),
        ("CreateEndpoint", ("EndpointName",), "a_b", "satisfy regular expression pattern"),
        ("Train", ("HyperParameters",), {"epochs": 3}, 'The value for the field "epochs" must be a STRING'),
        ("Train", ("StoppingCondition", "MaxRuntimeInSeconds"), 0, "have value greater than or equal to 1"),
        ("Train", ("ResourceConfig", "InstanceCount"), "1", '"InstanceCount" must be an INTEGER'),
        ("Tune", ("HyperParameterTuningJobName",), "a" * 33, "have length less than or equal to 32"),
        ("RecordFailure", ("ReturnValuesOnConditionCheckFailure",), "ALL_OLD", "is not supported by Step Functions"),
        ("RecordFailure", ("Key", "pk"), {"S": 1}, 'The value for the field "S" must be a STRING'),
        ("RegisterModel", ("InferenceSpecification", "SupportedResponseMimeTypes"), [], "is not supported"),
    ],
)
def test_what_aws_refuses_is_found(state: str, path: tuple[str, ...], value: Any, words: str) -> None:
    task = json.loads(json.dumps(TASKS[state]))
    place = task["Arguments"]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert words in "; ".join(map(requests.sentence, requests.literal_violations(task, "JSONata")))


def test_a_missing_member_is_found() -> None:
    task = json.loads(json.dumps(TASKS["CreateEndpoint"]))
    del task["Arguments"]["EndpointConfigName"]
    (found,) = requests.literal_violations(task, "JSONata")
    assert requests.sentence(found) == 'The field "EndpointConfigName" is required but was missing'
