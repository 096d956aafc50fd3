"""The workflow's definition, without running it: requests that AWS takes, limits, retries, a way out of each state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from twin import api_model
from twin.stepfunctions import definition, queries
from usher.algorithms import ALGORITHMS
from usher.runs import cost
from usher.runs.cost import TrainingRows
from usher.schema import ids

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "statemachines/train_and_deploy.asl.json").read_text()
MACHINE = json.loads(TEXT)
SERVICES = {"sagemaker": "sagemaker", "dynamodb": "dynamodb", "lambda": "lambda"}
LONGEST = {"run_id": "r" + "a" * 10 + "-50", "model_name": "e" * 45 + "-" + "r" + "a" * 10 + "-50"}


def states(program: Mapping[str, Any] = MACHINE) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in program["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


STATES = dict(states())
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}


def operation(resource: str) -> Any:
    """botocore's model of what a resource calls."""
    *_, service, action = resource.removeprefix("arn:aws:states:::").removesuffix(".sync").split(":")
    model = botocore.session.get_session().get_service_model(SERVICES[service])
    return model.operation_model(action[:1].upper() + action[1:])


def test_the_twin_finds_no_fault_in_the_definition() -> None:
    assert definition.faults(re.sub(r"\$\{(\w+)\}", "x", TEXT)) == []


@pytest.mark.parametrize(
    ("place", "field"),
    [
        (("HyperParameterTuningJobConfig",), "RandomSeed"),
        (("HyperParameterTuningJobConfig", "ResourceLimits"), "MaxRuntimeInSeconds"),
    ],
)
def test_a_tuning_field_that_is_younger_than_the_integration_is_refused(place: tuple[str, ...], field: str) -> None:
    changed = json.loads(re.sub(r"\$\{(\w+)\}", "x", TEXT))
    request = changed["States"]["TrainAll"]["ItemProcessor"]["States"]["Tune"]["Arguments"]
    for name in place:
        request = request[name]
    request[field] = 600
    (fault,) = definition.faults(json.dumps(changed))
    where = "/".join(("/States/TrainAll/ItemProcessor/States/Tune/Arguments", *place))
    assert fault == f'SCHEMA_VALIDATION_FAILED: The field "{field}" is not supported by Step Functions at {where}'


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_limit_and_retries_named_errors_with_back_off_and_jitter(name: str) -> None:
    task = TASKS[name]
    assert task["TimeoutSeconds"] > 0
    assert task["Retry"]
    for retry in task["Retry"]:
        assert "States.ALL" not in retry["ErrorEquals"]
        assert (retry["MaxAttempts"] > 0, retry["JitterStrategy"]) == (True, "FULL")
        assert retry["BackoffRate"] > 1 or retry["MaxAttempts"] == 1


def test_a_task_outlasts_the_job_that_it_waits_for() -> None:
    for name, task in TASKS.items():
        limits = [int(limit) for limit in re.findall(r'"MaxRuntimeInSeconds": (\d+)', json.dumps(task))]
        assert all(limit < task["TimeoutSeconds"] for limit in limits), name
    assert MACHINE["TimeoutSeconds"] > max(task["TimeoutSeconds"] for task in TASKS.values())


def test_every_failure_goes_the_one_failure_path() -> None:
    inside = {"Tune", "Train"}  # caught by the Map that they are in
    for name, state in STATES.items():
        if state["Type"] not in ("Task", "Map") or name in inside:
            continue
        (catch,) = state["Catch"]
        after = {"RecordFailure": "PrepareNext", "PrepareNext": "HowItEnded"}.get(name, "RecordFailure")
        assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], after), name
    assert STATES["RecordFailure"]["Next"] == "PrepareNext"
    assert STATES["RunFailed"]["Type"] == "Fail"


def test_every_state_can_be_reached_and_leads_to_an_end() -> None:
    def following(state: Mapping[str, Any]) -> set[str]:
        found = {state[key] for key in ("Next", "Default") if key in state}
        return found | {rule["Next"] for key in ("Choices", "Catch") for rule in state.get(key, ())}

    top = MACHINE["States"]
    reached, new = set(), {MACHINE["StartAt"]}
    while new:
        reached |= new
        new = {name for state in new for name in following(top[state])} - reached
    assert reached == set(top)
    ends = {name for name, state in top.items() if state["Type"] in ("Succeed", "Fail")}
    leading = ends
    while grown := {name for name, state in top.items() if following(state) & leading} - leading:
        leading = leading | grown
    assert leading == set(top)


@pytest.mark.parametrize("retry", [0, 1, 6])
def test_no_name_is_longer_than_sagemaker_takes(retry: int) -> None:
    limits = {"HyperParameterTuningJobName": 32, "TrainingJobName": 63, "ProcessingJobName": 63, "ModelName": 63}
    limits |= {"EndpointConfigName": 63}
    seen = set()
    for name, task in TASKS.items():
        for key, limit in limits.items():
            text = task["Arguments"].get(key, "")
            if not text.startswith("{%") or text == "{% $configName %}":
                continue
            given = {"run": LONGEST, "states": {"context": {"State": {"RetryCount": retry}}}}
            for algorithm in ALGORITHMS.values():
                given["states"]["input"] = {"job": {"name": algorithm.name}}
                value = queries.evaluate(text[2:-2], given)
                assert len(value) <= limit, (name, value)
                assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", value), value
                assert value.endswith(f"-{retry}") or not retry
                seen.add(key)
    assert seen == set(limits)


def test_jobs_are_named_as_the_contracts_say() -> None:
    for algorithm in ALGORITHMS.values():
        for name, tuning in (("Train", False), ("Tune", True)):
            text = TASKS[name]["Arguments"]["HyperParameterTuningJobName" if tuning else "TrainingJobName"]
            for retry in (0, 2):
                given = {
                    "run": {"run_id": "raaaaaaaaaa-1"},
                    "states": {"context": {"State": {"RetryCount": retry}}, "input": {"job": {"name": algorithm.name}}},
                }
                expected = ids.job_name("raaaaaaaaaa-1", algorithm.name, tuning=tuning, retry=retry)
                assert queries.evaluate(text[2:-2], given) == expected


def test_a_tuning_request_takes_the_plans_ranges_and_trials() -> None:
    shape = operation("arn:aws:states:::sagemaker:createHyperParameterTuningJob").input_shape
    config = shape.members["HyperParameterTuningJobConfig"]
    for job in cost.jobs(TrainingRows(1), None):
        for part, member in (("ranges", "ParameterRanges"), ("objective", "HyperParameterTuningJobObjective")):
            assert list(api_model.violations(config.members[member], job[part])) == []
