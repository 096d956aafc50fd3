"""The facts of an evaluation as evaluation.json holds them: metrics, intervals, slices and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from usher_models.evaluation.build_bundle import Prepared
from usher_models.evaluation.bundle_scores import ModelResult
from usher_models.evaluation.metrics import bias_only, hits, paired_interval, rating_metrics, relevant_counts
from usher_models.evaluation.slices import catalogue_report, item_report, user_report
from usher_models.evaluation.window import Window
from usher_models.ratings import Float64
from usher_scorer.bundle import Bundle

SCHEMA = 1
EXAMPLES = 5
SEED = 0


@dataclass(frozen=True)
class Comparison:
    """Models on one window. results: candidate and popularity always, champion if there is one."""

    prepared: Prepared
    window: Window
    results: Mapping[str, ModelResult]

    @property
    def relevant(self) -> Any:
        """Which users have a later positive (users,): ranking is measured on them."""
        return relevant_counts(self.window) > 0


def facts(comparison: Comparison) -> dict[str, Any]:
    """Metrics, intervals and slices; deterministic."""
    window, prepared = comparison.window, comparison.prepared
    count = len(prepared.items)
    return {
        "window": {
            "users": int(comparison.relevant.sum()),
            "users_with_later_rows": len(window.users),
            "new_users": int((comparison.relevant & ~window.known).sum()),
            "later_rows": len(window.later_item),
            "liked_rows": int(window.relevant.sum()),
            "rated_rows": int(window.stated.sum()),
        },
        "metrics": {name: _metrics(comparison, result) for name, result in comparison.results.items()}
        | _bias_only(comparison),
        "intervals": _intervals(comparison),
        "slices": {
            name: {
                "users": user_report(result, window),
                "items": item_report(result, window, prepared.before, count),
            }
            for name, result in comparison.results.items()
        },
    }


def _metrics(comparison: Comparison, result: ModelResult) -> dict[str, float]:
    relevant = comparison.relevant
    ranking = (
        {name: float(values[relevant].mean()) for name, values in result.metrics.items()} if relevant.any() else {}
    )
    rating = {}
    if result.predicted is not None and len(result.predicted):
        rating = rating_metrics(result.predicted, comparison.window.later_ratings)
    return {**ranking, **rating, **catalogue_report(result, comparison.prepared.before, len(comparison.prepared.items))}


def _bias_only(comparison: Comparison) -> dict[str, dict[str, float]]:
    """The bias-only baseline; empty for a window without later ratings."""
    predicted, actual = bias_only(comparison.prepared.before, comparison.window), comparison.window.later_ratings
    return {"bias_only": rating_metrics(predicted, actual)} if len(actual) else {}


def _intervals(comparison: Comparison) -> dict[str, dict[str, dict[str, float]]]:
    """Candidate minus each other: NDCG@10 and recall@20 over users, squared error over users' means."""
    relevant, candidate, out = comparison.relevant, comparison.results["candidate"], {}
    for name, other in comparison.results.items():
        if name == "candidate" or not relevant.any():
            continue
        differences = {
            metric: paired_interval(candidate.metrics[metric][relevant], other.metrics[metric][relevant], SEED)
            for metric in ("ndcg@10", "recall@20")
        }
        if candidate.predicted is not None and other.predicted is not None and len(candidate.predicted):
            ours, theirs = (_user_errors(comparison.window, one.predicted) for one in (candidate, other))
            differences["squared_error"] = paired_interval(ours, theirs, SEED)
        out[f"candidate-{name}"] = {metric: interval.fields() for metric, interval in differences.items()}
    return out


def _user_errors(window: Window, predicted: Float64 | None) -> Float64:
    """The mean squared error of each user with later ratings (such users,)."""
    error = (np.asarray(predicted) - window.later_ratings) ** 2
    owner = np.unique(window.later_user[window.stated], return_inverse=True)[1]
    mean: Float64 = np.bincount(owner, error) / np.bincount(owner)
    return mean


def examples(comparison: Comparison, bundle: Bundle) -> list[dict[str, Any]]:
    """A few users, drawn with a fixed seed: earlier positives, the candidate's recommendations, later positives."""
    users = np.flatnonzero(comparison.relevant)
    chosen = np.random.default_rng(SEED).permutation(users)[:EXAMPLES]
    candidate, window, catalogue = comparison.results["candidate"], comparison.window, bundle.catalogue
    hit = hits(candidate.shown, window)
    out = []
    for user in chosen.tolist():
        profile = window.profiles.slice(user, user + 1)
        liked = profile.items[profile.positive][np.argsort(-profile.times_us[profile.positive], kind="stable")][:10]
        later = window.later_item[(window.later_user == user) & window.relevant][:10]
        shown = candidate.shown[user, :10]
        out.append(
            {
                "user_id": comparison.prepared.users[window.users[user]],
                "liked_before": [catalogue.titles[item] for item in liked],
                "liked_later": [catalogue.titles[item] for item in later],
                "shown": [
                    {"title": catalogue.titles[item], "hit": bool(hit[user, place])}
                    for place, item in enumerate(shown.tolist())
                    if item >= 0
                ],
                "ndcg@10": float(candidate.metrics["ndcg@10"][user]),
            }
        )
    return out
