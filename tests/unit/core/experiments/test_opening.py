"""What an opening writes, and which modules load no numpy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.unit.state_table import STATE_TABLE
from usher.errors import OperatorError, RouterMoved
from usher.experiments import opening
from usher.experiments.opening import Terms, open_experiment
from usher.experiments.stats.presets import PRESETS
from usher.experiments.stats.state import new_state
from usher.schema.settings import Settings
from usher.store import experiments, keys
from usher.store.router import Router, read_router, write_router

NOW = 1_800_000_000
TERMS = Terms("default", 3600, 1800, 3600.0, 86400, 30.0)
CORE = Path(__file__).parents[4] / "layers/core/python"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.resource("dynamodb").create_table(**STATE_TABLE)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_an_experiment_opens_with_the_share_that_its_evidence_starts_with(name: str) -> None:
    terms = Terms(name, 3600, 1800, 3600.0, 86400, 0.0)
    router, _ = opening.challenge(Router.first("r1-1", NOW), "r2-1", terms, NOW)
    assert router.weights["B"] == float(new_state(PRESETS[name]).weight[0])
    assert terms.settle_seconds == PRESETS[name].settle_seconds


@pytest.mark.parametrize(
    "module",
    [
        "experiments.opening",
        "experiments.stats.presets",
        "store.experiments",
        "store.experiment_state",
        "store.operator_commands",
        "experiments.side_effects",
        "experiments.transitions",
        "experiments.idle",
    ],
)
def test_modules_of_the_other_functions_load_no_numpy(module: str) -> None:
    code = f"import sys, usher.{module}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CORE, check=False).returncode == 0


def test_a_stratum_settles_for_as_long_as_a_router_may_be_cached() -> None:
    assert TERMS.settle_seconds == 60
    assert Terms("default", 1, 1, 1.0, 1, 90.0).settle_seconds == 92
    with pytest.raises(OperatorError, match="ExperimentPreset is 'quick': set it to one of default"):
        Terms.of(Settings(experiment_preset="quick"))


def test_an_opening_is_written_whole_or_not_at_all(table: Any) -> None:
    first = Router.first("r1-1", NOW)
    write_router(table, first)
    opened = open_experiment(table, first, "r2-1", TERMS, NOW)
    assert read_router(table) == opened
    meta = experiments.read_meta(table, "xr2-1", NOW)
    assert meta is not None
    assert (meta.champion, meta.challenger, meta.models) == ("A", "B", {"champion": "r1-1", "challenger": "r2-1"})
    # Another writer moved the router meanwhile: no record of the second one is left behind.
    with pytest.raises(RouterMoved, match="the router is at version 2 instead of 1"):
        open_experiment(table, first, "r3-1", TERMS, NOW)
    assert experiments.read_meta(table, "xr3-1", NOW) is None
    assert "Item" not in table.get_item(Key=keys.experiment_state("xr3-1").item())


def test_a_model_has_one_experiment(table: Any) -> None:
    first = Router.first("r1-1", NOW)
    write_router(table, first)
    opened = open_experiment(table, first, "r2-1", TERMS, NOW)
    idle = opened.without_experiment("A", NOW + 9)
    write_router(table, idle)
    with pytest.raises(RouterMoved, match="that experiment exists already"):
        open_experiment(table, idle, "r2-1", TERMS, NOW + 10)
    assert read_router(table) == idle


def test_two_experiments_of_one_pair_have_two_salts(table: Any) -> None:
    first = Router.first("r1-1", NOW)
    salts = {opening.challenge(first, "r2-1", TERMS, NOW)[1].salt for _ in range(3)}
    assert len(salts) == 3


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("salt", "", "salt"),
        ("hour_seconds", 0, "hour_seconds must be above 0"),
        ("challenger", "A", "not the two variants"),
        ("started_at", NOW + 9999, "s from now"),
        ("status", "done", "status 'done'"),
        ("models", "r1", "string indices"),
    ],
)
def test_a_record_that_cannot_be_true_is_refused_with_the_reason(
    table: Any, field: str, value: Any, words: str
) -> None:
    first = Router.first("r1-1", NOW)
    write_router(table, first)
    open_experiment(table, first, "r2-1", TERMS, NOW)
    table.update_item(
        Key=keys.experiment("xr2-1").item(),
        UpdateExpression="SET #f = :v",
        ExpressionAttributeNames={"#f": field},
        ExpressionAttributeValues={":v": value},
    )
    with pytest.raises(experiments.InvalidExperiment, match=words):
        experiments.read_meta(table, "xr2-1", NOW)
