"""Quality floors on the real data.

A change that makes the models worse than what they were accepted with fails here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usher.algorithms import ALGORITHMS
from usher.algorithms.definition import load_entry_point
from usher.runs.gate import judge as gate
from usher_models.container import parse
from usher_models.evaluation.build_bundle import read_prepared
from usher_models.evaluation.metrics import paired_interval, predict_rows, rating_metrics, relevant_counts, user_metrics
from usher_models.evaluation.window import Window
from usher_models.models.baselines import fit_popularity
from usher_models.ratings import Items, Ratings
from usher_scorer.ranker import read_ranker
from usher_scorer.ranking import top_k
from usher_scorer.rater import read_rater

PROJECT = Path(__file__).parents[3]
DATA = Path(os.environ.get("USHER_DATA") or PROJECT.parent / "shared/data/ml-latest-small")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA / "ratings.csv").is_file(), reason=f"no MovieLens latest-small in {DATA}: set USHER_DATA"
    ),
]


def run(program: str, root: Path) -> None:
    command = [sys.executable, "-m", "usher_models", program]
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake's files, prepared."""
    root = tmp_path_factory.mktemp("movielens")
    for dataset, file in {"ratings": "ratings.csv", "items": "movies.csv", "tags": "tags.csv"}.items():
        folder = root / "processing/input" / dataset
        folder.mkdir(parents=True)
        shutil.copy(DATA / file, folder)
    run("prepare", root)
    return root


@pytest.fixture(scope="module")
def data(root: Path) -> tuple[Ratings, Items]:
    prepared = read_prepared(root / "processing/output/prepared")
    return prepared.before.join(prepared.inside), prepared.items


def artifact(name: str, ratings: Ratings, items: Items, **given: str) -> Any:
    algorithm = ALGORITHMS[name]
    return load_entry_point(algorithm.fit)(ratings, items, parse(given, algorithm))


def window_of(train: Ratings, test: Ratings) -> Window:
    """P2, P4: everything in `train` is the profile."""
    users = np.unique(test.user).astype(np.int64)
    rows = test.take(np.lexsort((test.item, test.user)))
    place = np.searchsorted(users, rows.user)
    known = np.isin(users, train.user)
    return Window(users, train.profiles(users), known, place, rows.item.astype(np.int64), rows.value)


def test_fm_predicts_random_rows_within_0_81(data: tuple[Ratings, Items]) -> None:
    """P2, with side features; the tags end at prepare's split, so a little less is known than in docs/models.md."""
    ratings, items = data
    errors = []
    for seed in range(3):
        order = np.random.RandomState(seed).permutation(len(ratings))
        cut = round(len(ratings) * 0.33)
        train, test = ratings.take(np.sort(order[cut:])), ratings.take(np.sort(order[:cut]))
        result = artifact("fm", train, items, epochs="200", seed=str(seed))
        window = window_of(train, test)
        rater = read_rater(result.settings, result.arrays, len(items))
        errors.append(rating_metrics(predict_rows(rater, window), window.later_value)["rmse"])
    assert np.mean(errors) < 0.81


def test_the_ranker_beats_popularity_on_each_users_last_fifth(data: tuple[Ratings, Items]) -> None:
    """P4, by a paired test."""
    ratings, items = data
    order = np.lexsort((ratings.item, ratings.time_us, ratings.user))
    count = np.bincount(ratings.user)
    place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    late = place >= (count - np.maximum(np.floor(count * 0.2 + 1e-9), 1))[ratings.user[order]]
    train, test = ratings.take(order[~late]), ratings.take(order[late])
    window = window_of(train, test)
    result = artifact("ranker", train, items)
    ranker = read_ranker(result.settings, result.arrays, len(items))
    scores = np.full((len(window.users), len(items)), -np.inf, np.float32)
    scores[:, ranker.covered] = ranker.scores(window.profiles)
    popular = np.tile(fit_popularity(train, items).arrays["all"], (len(window.users), 1))
    relevant = relevant_counts(window) > 0
    ndcg = []
    for matrix in (scores, popular):
        matrix[window.profiles.user, window.profiles.items] = -np.inf
        ndcg.append(user_metrics(top_k(matrix, 20), window)["ndcg@10"][relevant])
    assert ndcg[0].mean() > 0.13
    assert paired_interval(ndcg[0], ndcg[1], 0).low > 0.03


def test_what_ships_passes_the_gate_on_the_real_data(root: Path, tmp_path: Path) -> None:
    """P5 as the workflow runs it: train ×3 and evaluate as processes, tuned by nothing."""
    prepared = root / "processing/output/prepared"
    (root / "processing/input/prepared").symlink_to(prepared)
    for name in ("fm", "knn", "ranker"):
        job = tmp_path / name
        (job / "input/config").mkdir(parents=True)
        (job / "input/data").mkdir()
        for channel in ("train", "validation", "items"):
            (job / "input/data" / channel).symlink_to(prepared / channel)
        given = {"algorithm": name, "fit_rows": "train_and_validation"}
        (job / "input/config/hyperparameters.json").write_text(json.dumps(given))
        run("train", job)
        place = root / "processing/input/models" / name
        shutil.copytree(job / "model", place)
    run("evaluate", root)
    facts = json.loads((root / "processing/output/run/evaluation.json").read_text())
    verdict = gate(facts, 50)
    assert verdict.passed, verdict.reason
    assert facts["leaks"] == []
    assert facts["intervals"]["candidate-popularity"]["ndcg@10"]["low"] > 0
    assert facts["metrics"]["candidate"]["ndcg@10"] > 0.155
    assert facts["metrics"]["candidate"]["rmse"] < facts["metrics"]["bias_only"]["rmse"] - 0.02
