"""An algorithm is added by one module and one registry line: it is planned, trained, built in, served and documented.

Without its line every place refuses it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usher import algorithms
from usher.algorithms import ALGORITHMS
from usher.algorithms.documentation import markdown
from usher.runs import cost
from usher.runs.cost import TrainingRows
from usher_models.container import Paths
from usher_models.errors import DataError, HyperparameterError
from usher_models.evaluation.build_bundle import Prepared, build_bundle, read_results
from usher_models.evaluation.program import evaluate
from usher_models.prepare.program import prepare
from usher_models.ratings import Items, Ratings
from usher_models.train import train
from usher_scorer.bundle import Bundle, load, sha256
from usher_scorer.errors import BundleError
from usher_scorer.invocations import invoke

MODULE = "tests.unit.models.trending"


def register(patch: pytest.MonkeyPatch) -> None:
    """What one more line in the registry's list of modules does."""
    added = algorithms.read_definition(MODULE)
    patch.setitem(ALGORITHMS, added.name, added)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, raw_files: Callable[..., None], world: Ratings, items: Items) -> Path:
    """prepare, train and evaluate with `trending` alone; the folder of the evaluation's inputs and outputs."""
    root = tmp_path_factory.mktemp("run")
    raw_files(root, world, items)
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        prepare(Paths(root))
        shutil.copytree(root / "processing/output/prepared", root / "processing/input/prepared")
        (root / "input/config").mkdir(parents=True)
        (root / "input/config/hyperparameters.json").write_text('{"algorithm": "trending", "half_life_days": "7.5"}')
        shutil.copytree(root / "processing/output/prepared", root / "input/data")
        result = train(Paths(root))
        assert result.metrics["ndcg@10"] > 0
        shutil.copytree(root / "model", root / "processing/input/models/trending")
        evaluate(Paths(root))
    return root


@pytest.fixture
def bundle_of_trending(run: Path, registered: None) -> Bundle:
    return load(run / "processing/output/run/bundle")


def test_the_module_is_imported_without_numpy_as_lambda_functions_do() -> None:
    code = f"import sys; sys.modules['numpy'] = None; import {MODULE}; print({MODULE}.ALGORITHM.name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "trending"


def test_a_registry_line_is_the_name_of_a_module() -> None:
    lines = {module: algorithms.read_definition(module) for module in algorithms._MODULES}
    assert {one.name: one for one in lines.values()} == ALGORITHMS


def test_its_training_and_tuning_are_planned_and_priced(registered: None) -> None:
    (job,) = (job for job in cost.jobs(TrainingRows(1000), None) if job["name"] == "trending")
    assert job["tune"] is True
    assert job["hyperparameters"] == {"half_life_days": "30"}
    assert job["fixed"] == {"algorithm": "trending", "seed": "0"}
    assert job["objective"] == {"Type": "Maximize", "MetricName": "validation:ndcg@10"}
    bounds = {"Name": "half_life_days", "MinValue": "1", "MaxValue": "365", "ScalingType": "Logarithmic"}
    assert job["ranges"]["ContinuousParameterRanges"] == [bounds]
    settings = cost.JobSettings("ml.m5.xlarge", "ml.m5.xlarge", trials=4)
    names = {one.name for one in cost.estimate(TrainingRows(1000), list(ALGORITHMS.values()), settings).jobs}
    assert {"tune trending", "train trending"} <= names


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"half_life_day": "3"}, "did you mean 'half_life_days'"),
        ({"half_life_days": "0"}, r"half_life_days is '0': it must lie from 0\.1 to 10000"),
        ({"minimum": "1.5"}, "must be a whole number from 0 to 1000"),
    ],
)
def test_the_container_checks_its_hyperparameters(
    registered: None, job: Callable[..., Path], world: Ratings, given: dict[str, str], message: str
) -> None:
    with pytest.raises(HyperparameterError, match=message):
        train(Paths(job({"algorithm": "trending", **given}, train=world)))


def test_the_bundle_holds_it_and_the_scorer_ranks_by_it(bundle_of_trending: Bundle, run: Path) -> None:
    assert set(bundle_of_trending.manifest.artifacts) == {"trending", "popularity", "content"}
    assert bundle_of_trending.manifest.hyperparameters["trending"]["half_life_days"] == "7.5"
    scores = np.load(run / "processing/output/run/bundle/trending/scores.npy")
    answer = invoke(bundle_of_trending, b'{"op": "recommend", "user_id": "u0", "k": 5, "explain": true}')
    assert answer["level"] == "model"
    mine = bundle_of_trending.profiles.slice(
        bundle_of_trending.dense_user["u0"], bundle_of_trending.dense_user["u0"] + 1
    )
    unseen = np.where(np.isin(np.arange(len(scores)), mine.items), -np.inf, scores)
    assert [item["score"] for item in answer["items"]] == pytest.approx(np.sort(unseen)[::-1][:5].tolist(), abs=1e-5)


def test_beside_the_others_it_ranks_the_users_unknown_to_the_first_ranker(
    registered: None, prepared: Prepared, trained: list[Any], run: Path, tmp_path: Path
) -> None:
    (added,) = read_results(run / "processing/input/models", tmp_path / "scratch")
    both = build_bundle(prepared, [*trained, added], tmp_path / "bundle")
    assert [type(ranker).__name__ for ranker in both.rankers] == ["EaseRanker", "Trending"]
    assert set(both.components) == {"fm", "knn", "ranker", "trending", "popularity", "content"}
    alone = build_bundle(prepared, trained, tmp_path / "alone")
    known = b'{"op": "recommend", "user_id": "u0", "k": 5}'
    assert invoke(both, known)["items"] == invoke(alone, known)["items"]
    outside = int(np.flatnonzero(~np.isin(np.arange(len(both.catalogue)), both.rankers[0].covered))[0])
    unknown = f'{{"op": "recommend", "profile": [["m{outside}", 5, 1]], "k": 1}}'.encode()
    best = int(np.argmax(both.components["trending"].scores(both.profiles.slice(0, 1))[0]))
    assert invoke(both, unknown)["items"][0]["item_id"] == f"m{best}"


def test_it_is_documented(registered: None) -> None:
    page = markdown()
    assert "| `trending` | orders the catalogue by positives, each worth half after half_life_days | ranking |" in page
    assert "| `half_life_days` | 30.0 | 0.1 to 10,000 | 1 to 365 | days |" in page


def test_an_algorithm_that_is_not_registered_is_refused_by_the_container(run: Path, tmp_path: Path) -> None:
    with pytest.raises(HyperparameterError, match="unknown algorithm 'trending'"):
        train(Paths(run))
    with pytest.raises(DataError, match=r"the artifact 'trending' is unknown to this image, which reads fm, knn, rank"):
        read_results(run / "processing/input/models", tmp_path)
    with pytest.raises(DataError, match="the artifact 'trending' is unknown"):
        evaluate(Paths(run))


def test_a_file_that_a_training_result_does_not_list_is_refused(registered: None, run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run / "processing/input/models", tmp_path / "models")
    np.save(folder / "trending/extra.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"artifact\.json does not list extra\.npy"):
        read_results(folder, tmp_path / "scratch")


def test_an_artifact_that_is_not_registered_is_refused_by_the_scorer(run: Path) -> None:
    with pytest.raises(
        BundleError, match=r"lists the artifact 'trending', which this Usher cannot read .*update Usher"
    ):
        load(run / "processing/output/run/bundle")


@pytest.mark.parametrize("file", ["stray/array.npy", "array.npy", "content.txt"])
def test_a_file_of_no_artifact_is_refused_by_the_scorer(bundle_folder: Path, tmp_path: Path, file: str) -> None:
    import json  # noqa: PLC0415

    folder = shutil.copytree(bundle_folder, tmp_path / "bundle")
    (folder / file).parent.mkdir(exist_ok=True)
    np.save(folder / "array.npy", np.zeros(3))
    if not (folder / file).exists():
        shutil.move(folder / "array.npy", folder / file)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"][file] = sha256(folder / file)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=f"lists the file '{file}' of no known artifact"):
        load(folder)
