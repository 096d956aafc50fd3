"""Faulty bundles pass every check of their files, and then fail as their scenario says; deployment skips the gate."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.faulty_models import (
    CUT_EVERY,
    SCENARIOS,
    cut_titles,
    misplace_items,
    pack,
    without_gate,
    write_manifest,
)
from twin.stepfunctions.definition import faults
from usher_scorer.bundle import Bundle, load, write
from usher_scorer.catalogue import Catalogue
from usher_scorer.profiles import Profiles
from usher_scorer.recommend import Filters, recommend

ITEMS = 60
DEFINITION = (Path(__file__).parents[3] / "statemachines" / "train_and_deploy.asl.json").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of popularity alone: item 0 is liked most, and a user rated item 5."""
    ids = tuple(f"i{n}" for n in range(ITEMS))
    titles, genres = tuple(f"Été {n}" for n in range(ITEMS)), tuple(("Drama",) for _ in range(ITEMS))
    catalogue = Catalogue(ids, titles, genres, np.full(ITEMS, 2000), np.full(ITEMS, np.nan))
    scores = np.linspace(2.0, 1.0, ITEMS).astype(np.float32)
    fields = {"model_id": "r1-aaaaaaaa", "run_id": "r1", "snapshots": {}, "trained_until": "2018-01-01T00:00:00+00:00"}
    write(
        tmp_path / "bundle",
        catalogue=catalogue,
        users=("u",),
        profiles=Profiles.of_one([5], [5.0], [1]),
        arrays={"popularity": {"all": scores, "recent": scores}},
        fields={**fields, "artifacts": {"popularity": {}}, "hyperparameters": {}, "metrics": {}},
    )
    return tmp_path / "bundle"


def shown(bundle: Bundle) -> list[str]:
    answer = recommend(bundle, None, [], 10, Filters())
    return [str(item["item_id"]) for item in answer["items"]]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_damaged_bundle_loads_under_its_own_model_id(folder: Path, name: str) -> None:
    SCENARIOS[name].damage(folder)
    write_manifest(folder, "r2")
    bundle = load(folder)
    assert bundle.manifest.run_id == "r2"
    assert bundle.manifest.model_id.startswith("r2-")


def test_misplaced_items_reverse_the_ranking_without_an_error(folder: Path) -> None:
    before = shown(load(folder))
    misplace_items(folder)
    write_manifest(folder, "r2")
    bundle = load(folder)
    assert before == [f"i{n}" for n in range(10)]
    assert shown(bundle) == [f"i{ITEMS - 1 - n}" for n in range(10)]
    title = recommend(bundle, None, [], 1, Filters())["items"][0]["title"]
    assert title == f"Été {ITEMS - 1}"  # an id keeps its own title


def test_a_response_with_a_cut_title_cannot_be_encoded_and_others_can(folder: Path) -> None:
    cut_titles(folder)
    write_manifest(folder, "r2")
    bundle = load(folder)
    for item, entry in enumerate(recommend(bundle, None, [], ITEMS, Filters())["items"]):
        text = json.dumps(entry, ensure_ascii=False)
        if item % CUT_EVERY == 0:
            with pytest.raises(UnicodeEncodeError):
                text.encode()
        else:
            assert text.encode()


def test_the_archive_holds_the_bundle_at_its_root(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        archive.extractall(tmp_path / "again", filter="data")
    assert load(tmp_path / "again").manifest == load(folder).manifest


def states(definition: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(definition)["States"]
    return found


def test_the_workflow_without_gate_goes_from_the_plan_to_the_registry() -> None:
    machine = json.loads(without_gate(DEFINITION))
    first = machine["States"][machine["StartAt"]]
    assert (machine["StartAt"], first["Next"]) == ("PrepareRun", "RegisterModel")
    assert first["Assign"] == {**states(DEFINITION)["PrepareRun"]["Assign"], "trained": []}


def test_the_workflow_without_gate_leaves_out_training_and_evaluation_only() -> None:
    whole, short = states(DEFINITION), states(without_gate(DEFINITION))
    assert whole.keys() - short.keys() == {"Prepare", "TrainAll", "Evaluate", "EvaluateGate", "IsPassed"}
    assert all(short[name] == whole[name] for name in short.keys() - {"PrepareRun"})


def test_the_workflow_without_gate_is_a_valid_definition() -> None:
    assert not faults(without_gate(DEFINITION))
