"""The figures of the workflows: states that a quiet tick and a run pass through, counted in the definitions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.costs import usage
from cli.costs.stack import read_stack
from tests.unit.aws_usage import metrics_of
from usher import metrics
from usher.algorithms import ALGORITHMS
from usher.experiments import tick
from usher.store.run_progress import COUNTED_DATASETS

MACHINES = Path(__file__).parents[4] / "statemachines"
#: Seconds that a new endpoint configuration takes until it serves, and the seconds of one look.
UPDATE_SECONDS, LOOK_SECONDS = 600, 30


def machine(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((MACHINES / f"{name}.asl.json").read_text())
    return found


def walk(program: Mapping[str, Any], choices: Mapping[str, str]) -> list[str]:
    """The states from the start to the end. choices: what each Choice state chooses."""
    at, passed = program["StartAt"], []
    while at:
        passed.append(at)
        at = choices.get(at) or program["States"][at].get("Next")
    return passed


def test_a_tick_that_changes_nothing_passes_three_states() -> None:
    passed = walk(machine("shift_traffic"), {"ChooseNext": "Done"})
    assert len(passed) == usage.TRANSITIONS_PER_TICK


def test_a_run_passes_no_more_states_than_are_counted() -> None:
    definition = machine("train_and_deploy")
    choices = {"IsPassed": "RegisterModel", "ServesFromEndpoint": "CreateModel", "EndpointState": "ReadRouter"}
    choices |= {"RouterStands": "UpdateEndpoint", "IsInService": "DeployExperiment", "HowItEnded": "RunEnded"}
    once = len(walk(definition, choices))
    algorithms = definition["States"]["TrainAll"]["ItemProcessor"]
    each = len(walk(algorithms, {"IsTuned": "Tune"})) * len(ALGORITHMS)
    waits = 3 * (UPDATE_SECONDS // LOOK_SECONDS - 1)  # WaitForService, CheckService, IsInService
    assert 0.9 * usage.TRANSITIONS_PER_RUN <= once + each + waits <= usage.TRANSITIONS_PER_RUN


def test_the_metrics_of_a_tick_and_of_ingest_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Ingest counts rows by service and data set; ratings and events arrive by files and streams."""
    assert usage.METRICS["shift"] == len(tick._METRICS)
    rows = {"RowsIn": 2, "RowsAccepted": 1, "RowsQuarantined": 1}
    for service in ("ingest_objects", "ingest_stream"):
        for dataset in COUNTED_DATASETS:
            metrics.count(rows, service=service, dataset=dataset)
    assert usage.METRICS["ingest"] == len(metrics_of(capsys.readouterr().out))


def test_the_template_is_counted() -> None:
    stack = read_stack()
    text = (MACHINES.parent / "template.yaml").read_text()
    assert stack.alarms == text.count("Type: AWS::CloudWatch::Alarm")
    assert stack.alarm_metrics == stack.alarms + sum(
        part.count("MetricStat:") - 1
        for part in text.split("Type: AWS::CloudWatch::Alarm")[1:]
        if "MetricStat:" in part
    )
    assert stack.polled_queues == text.count("Type: SQS")
    assert (stack.secrets, stack.dashboards) == (1, 1)
    assert stack.memory_gb["RecommendItems"] == 1.0
