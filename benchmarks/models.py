"""The protocols' table: what each model reaches on MovieLens' latest-small, and the CPU seconds it takes.

usage: python -m benchmarks.models [P1] [P2] [P3u] [P3g] [P4] [P5]      (without a name: all of them)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.protocol_data import (
    data_folder,
    gate_window,
    last_of_all,
    last_of_each_user,
    load,
    random_split,
    whole_profiles,
)
from usher.algorithms import ALGORITHMS
from usher.algorithms.definition import load_entry_point
from usher_models.artifacts import Artifact
from usher_models.container import parse
from usher_models.evaluation.bundle_scores import top
from usher_models.evaluation.metrics import (
    DEPTH,
    bias_only,
    paired_interval,
    predict_rows,
    rating_metrics,
    relevant_counts,
    user_metrics,
)
from usher_models.evaluation.window import Window
from usher_models.models.baselines import fit_popularity
from usher_models.models.knn import neighbour_scores
from usher_models.ratings import Float32, Float64, Int64, Items, Ratings
from usher_scorer.profiles import Profiles
from usher_scorer.ranker import read_ranker
from usher_scorer.ranking import top_k
from usher_scorer.rater import read_rater

SWEEPS = {"epochs": "200"}


def fit(name: str, train: Ratings, items: Items, given: Mapping[str, str] | None = None) -> Artifact:
    algorithm = ALGORITHMS[name]
    artifact: Artifact = load_entry_point(algorithm.fit)(train, items, parse(given or {}, algorithm))
    return artifact


def report(protocol: str, model: str, metrics: Mapping[str, float], seconds: float, note: str = "") -> None:
    shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
    print(f"{protocol:4s} {model:24s} {shown}  CPU {seconds:.1f} s  {note}".rstrip(), flush=True)


def p1(ratings: Ratings, items: Items) -> None:
    """Whether a movie with id up to 10000 is liked: accuracy, AUC and log-loss, five random splits."""
    known = np.array([int(item_id) <= 10_000 for item_id in items.catalogue.ids])[ratings.item]
    chosen = ratings.take(known)
    for features in ("no", "yes"):
        started, rows = time.process_time(), []
        for seed in range(5):
            train, test = random_split(chosen, 0.2, seed)
            given = {**SWEEPS, "predictor_type": "binary_classifier", "item_features": features, "seed": str(seed)}
            artifact = fit("fm", train, items, given)
            window = whole_profiles(train, test)
            chance = predict_rows(read_rater(artifact.settings, artifact.arrays, len(items)), window)
            rows.append(_classified(chance, window.later_value >= 4))
        means = dict(zip(("accuracy", "auc", "log-loss"), np.mean(rows, axis=0), strict=True))
        report("P1", f"fm, item features {features}", means, (time.process_time() - started) / 5)


def _classified(chance: Float64, liked: np.ndarray) -> tuple[float, float, float]:
    order = np.argsort(np.argsort(chance, kind="stable"), kind="stable") + 1
    positives, negatives = liked.sum(), (~liked).sum()
    auc = (order[liked].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    clipped = np.clip(chance, 1e-6, 1 - 1e-6)
    loss = -np.mean(np.where(liked, np.log(clipped), np.log(1 - clipped)))
    return float(np.mean((chance > 0.5) == liked)), float(auc), float(loss)


def p2(ratings: Ratings, items: Items) -> None:
    for features in ("no", "yes"):
        started, rows = time.process_time(), []
        for seed in range(3):
            train, test = random_split(ratings, 0.33, seed)
            rows.append(_rated(train, whole_profiles(train, test), items, features, seed))
        metrics = {name: float(np.mean([row[name] for row in rows])) for name in ("rmse", "mae")}
        report("P2", f"fm, item features {features}", metrics, (time.process_time() - started) / 3)


def _rated(train: Ratings, window: Window, items: Items, features: str, seed: int) -> dict[str, float]:
    artifact = fit("fm", train, items, {**SWEEPS, "item_features": features, "seed": str(seed)})
    predicted = predict_rows(read_rater(artifact.settings, artifact.arrays, len(items)), window)
    return rating_metrics(predicted, window.later_value)


def p3(protocol: str, split: tuple[Ratings, Ratings], items: Items) -> None:
    train, test = split
    window = whole_profiles(train, test)
    report(protocol, "bias only", rating_metrics(bias_only(train, window), window.later_value), 0)
    started = time.process_time()
    metrics = _rated(train, window, items, "yes", 0)
    report(protocol, "fm, item features yes", metrics, time.process_time() - started)


def ranked(protocol: str, train: Ratings, window: Window, items: Items) -> None:
    """P4, P5: every ranking model, and its paired difference to popularity."""
    relevant = relevant_counts(window) > 0
    print(f"{protocol}: {int(relevant.sum())} users")
    base: Float64 | None = None
    for name, make in _rankers(train, window, items).items():
        started = time.process_time()
        metrics = {metric: values[relevant] for metric, values in user_metrics(make(), window).items()}
        seconds = time.process_time() - started
        base = metrics["ndcg@10"] if base is None else base
        interval = paired_interval(metrics["ndcg@10"], base, 0)
        note = f"NDCG - popularity {interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
        report(protocol, name, {metric: float(values.mean()) for metric, values in metrics.items()}, seconds, note)


def _rankers(train: Ratings, window: Window, items: Items) -> dict[str, Callable[[], Int64]]:
    def popular(which: str) -> Int64:
        scores = fit_popularity(train, items).arrays[which]
        return top(lambda profiles: _unseen(np.tile(scores, (len(profiles), 1)), profiles), window.profiles)

    def ranker(given: Mapping[str, str]) -> Int64:
        artifact = fit("ranker", train, items, given)
        model = read_ranker(artifact.settings, artifact.arrays, len(items))

        def scores(profiles: Profiles) -> Float32:
            full = np.full((len(profiles), len(items)), -np.inf, np.float32)
            full[:, model.covered] = model.scores(profiles)
            return _unseen(full, profiles)

        return top(scores, window.profiles)

    def neighbours() -> Int64:
        return top_k(neighbour_scores(fit("knn", train, items), window, len(items)), DEPTH)

    return {
        "popularity": lambda: popular("all"),
        "popularity, recent": lambda: popular("recent"),
        "knn": neighbours,
        "ranker, ease plain": lambda: ranker({"method": "ease", "side_weight": "0", "regularization": "150"}),
        "ranker, ease (default)": lambda: ranker({}),
        "ranker, ials": lambda: ranker({"method": "ials"}),
    }


def _unseen(scores: Float32, profiles: Profiles) -> Float32:
    scores[profiles.user, profiles.items] = -np.inf
    return scores


def main() -> None:
    ratings, items = load(data_folder())
    # P3g and P5 are split by one moment: tags given after it would tell the models of later opinions.
    _, items_then = load(data_folder(), int(last_of_all(ratings)[1].time_us.min()))
    asked = sys.argv[1:]
    protocols: dict[str, Callable[[], None]] = {
        "P1": lambda: p1(ratings, items),
        "P2": lambda: p2(ratings, items),
        "P3u": lambda: p3("P3u", last_of_each_user(ratings), items),
        "P3g": lambda: p3("P3g", last_of_all(ratings), items_then),
        "P4": lambda: ranked_by(whole_profiles, "P4", last_of_each_user(ratings), items),
        "P5": lambda: ranked_by(gate_window, "P5", last_of_all(ratings), items_then),
    }
    for name in asked or protocols:
        protocols[name]()


def ranked_by(
    view: Callable[[Ratings, Ratings], Window], protocol: str, split: tuple[Ratings, Ratings], items: Items
) -> None:
    ranked(protocol, split[0], view(*split), items)


if __name__ == "__main__":
    main()
