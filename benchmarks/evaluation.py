"""How long an evaluation takes at the size of MovieLens 1M: 6,040 users, 3,706 items, a million ratings, generated.

usage: python -m benchmarks.evaluation      (candidate, champion and popularity are judged; every user is in the
window)
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from usher.algorithms import ALGORITHMS
from usher.algorithms.definition import load_entry_point
from usher.schema.interactions import RATING_MAX, RATING_MIN
from usher_models.artifacts import TrainingResult
from usher_models.container import parse
from usher_models.evaluation.build_bundle import Prepared, build_bundle
from usher_models.evaluation.program import evaluate_models
from usher_models.ratings import Items, Ratings
from usher_scorer.catalogue import Catalogue

USERS, ITEMS, ROWS = 6040, 3706, 1_000_000
SPLIT_US = 1_600_000_000_000_000


def generate(seed: int = 0) -> tuple[Ratings, Items]:
    """Long-tailed items, eight groups of users with their own preferences, rows spread over the same time."""
    random = np.random.default_rng(seed)
    weight = 1 / (np.arange(ITEMS) + 30.0) ** 1.1
    user = random.integers(0, USERS, ROWS * 2)
    item = random.choice(ITEMS, ROWS * 2, p=weight / weight.sum())
    _, first = np.unique(user * ITEMS + item, return_index=True)
    chosen = random.permutation(first)[:ROWS]
    user, item = user[chosen], item[chosen]
    preference = (user % 8 == item % 8) * 1.5
    value = np.clip(
        np.round((3 + preference + random.normal(0, 0.9, len(user))) * 2) / 2, RATING_MIN, RATING_MAX
    ).astype(np.float32)
    time_us = SPLIT_US + random.integers(-80, 20, len(user)) * 86_400_000_000 + random.integers(0, 10**9, len(user))
    genres = tuple((f"Genre {n % 18}",) for n in range(ITEMS))
    names = tuple(map(str, range(ITEMS)))
    catalogue = Catalogue(names, names, genres, 1950 + np.arange(ITEMS) % 70, np.full(ITEMS, np.nan))
    return Ratings(user.astype(np.int32), item.astype(np.int32), value, time_us), Items(catalogue, ((),) * ITEMS)


def fit(name: str, ratings: Ratings, items: Items, given: dict[str, str]) -> TrainingResult:
    algorithm = ALGORITHMS[name]
    artifact = load_entry_point(algorithm.fit)(ratings, items, parse(given, algorithm))
    return TrainingResult(name, artifact, given, {}, len(items), len(ratings), int(ratings.time_us.max()))


def main() -> None:
    ratings, items = generate()
    inside = ratings.time_us >= SPLIT_US
    summary = {"run_id": "benchmark", "snapshots": {}, "split_at_us": SPLIT_US}
    prepared = Prepared(summary, ratings.take(~inside), ratings.take(inside), items, tuple(map(str, range(USERS))))
    trained = [
        fit("fm", prepared.before, items, {"epochs": "20", "samples": "8"}),
        fit("ranker", prepared.before, items, {}),
    ]
    with tempfile.TemporaryDirectory() as folder:
        candidate = build_bundle(prepared, trained, Path(folder) / "candidate")
        champion = build_bundle(prepared, trained[1:], Path(folder) / "champion")
        wall, cpu = time.perf_counter(), time.process_time()
        facts = evaluate_models(prepared, trained, candidate, champion)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    window = facts["window"]
    print(f"judged {window['users']} users, {window['later_rows']} later rows, {ITEMS} items")
    print(f"{wall:.1f} s wall, {cpu:.1f} s CPU")
    print({name: round(metrics.get("ndcg@10", 0), 4) for name, metrics in facts["metrics"].items()})


if __name__ == "__main__":
    main()
