"""The facts of an evaluation as evaluation.json holds them: gate metrics, slices and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from usher_models.evaluation.assemble import Prepared
from usher_models.evaluation.compare import paired_interval
from usher_models.evaluation.judge import Judged
from usher_models.evaluation.ranking import hits, relevant_counts
from usher_models.evaluation.rating import bias_only, rating_metrics
from usher_models.evaluation.slices import catalogue_report, item_report, user_report
from usher_models.evaluation.window import Window
from usher_models.ratings import Float64
from usher_scorer.bundle import Bundle

SCHEMA = 1
EXAMPLES = 5
SEED = 0


@dataclass(frozen=True)
class Contest:
    """Everybody judged on one window. judged: candidate and popularity always, champion if there is one."""

    prepared: Prepared
    window: Window
    judged: Mapping[str, Judged]

    @property
    def relevant(self) -> Any:
        """Who liked something later: those that ranking is judged on (users,)."""
        return relevant_counts(self.window) > 0


def facts(contest: Contest) -> dict[str, Any]:
    """Metrics, intervals and slices; the same contest gives the same facts."""
    window, prepared = contest.window, contest.prepared
    count = len(prepared.items)
    return {
        "window": {
            "users": int(contest.relevant.sum()),
            "users_with_later_rows": len(window.users),
            "new_users": int((contest.relevant & ~window.known).sum()),
            "later_rows": len(window.later_item),
            "liked_rows": int(window.relevant.sum()),
            "rated_rows": int(window.stated.sum()),
        },
        "metrics": {name: _metrics(contest, judged) for name, judged in contest.judged.items()} | _bias_only(contest),
        "intervals": _intervals(contest),
        "slices": {
            name: {
                "users": user_report(judged, window),
                "items": item_report(judged, window, prepared.before, count),
            }
            for name, judged in contest.judged.items()
        },
    }


def _metrics(contest: Contest, judged: Judged) -> dict[str, float]:
    relevant = contest.relevant
    ranking = (
        {name: float(values[relevant].mean()) for name, values in judged.metrics.items()} if relevant.any() else {}
    )
    rating = {}
    if judged.predicted is not None and len(judged.predicted):
        rating = rating_metrics(judged.predicted, contest.window.later_ratings)
    return {**ranking, **rating, **catalogue_report(judged, contest.prepared.before, len(contest.prepared.items))}


def _bias_only(contest: Contest) -> dict[str, dict[str, float]]:
    """Empty where no rating is to be predicted, as in a window of events."""
    predicted, actual = bias_only(contest.prepared.before, contest.window), contest.window.later_ratings
    return {"bias_only": rating_metrics(predicted, actual)} if len(actual) else {}


def _intervals(contest: Contest) -> dict[str, dict[str, dict[str, float]]]:
    """Candidate minus each other: NDCG@10 and recall@20 over users, squared error over users' means."""
    relevant, candidate, out = contest.relevant, contest.judged["candidate"], {}
    for name, other in contest.judged.items():
        if name == "candidate" or not relevant.any():
            continue
        differences = {
            metric: paired_interval(candidate.metrics[metric][relevant], other.metrics[metric][relevant], SEED)
            for metric in ("ndcg@10", "recall@20")
        }
        if candidate.predicted is not None and other.predicted is not None and len(candidate.predicted):
            ours, theirs = (_user_errors(contest.window, judged.predicted) for judged in (candidate, other))
            differences["squared_error"] = paired_interval(ours, theirs, SEED)
        out[f"candidate-{name}"] = {metric: interval.fields() for metric, interval in differences.items()}
    return out


def _user_errors(window: Window, predicted: Float64 | None) -> Float64:
    """The mean squared error of each user who rated something later (users,)."""
    error = (np.asarray(predicted) - window.later_ratings) ** 2
    whose = np.unique(window.later_user[window.stated], return_inverse=True)[1]
    mean: Float64 = np.bincount(whose, error) / np.bincount(whose)
    return mean


def examples(contest: Contest, bundle: Bundle) -> list[dict[str, Any]]:
    """A few users, drawn with a fixed seed: what they had liked, what the candidate shows, what they then liked."""
    users = np.flatnonzero(contest.relevant)
    chosen = np.random.default_rng(SEED).permutation(users)[:EXAMPLES]
    candidate, window, catalogue = contest.judged["candidate"], contest.window, bundle.catalogue
    hit = hits(candidate.shown, window)
    out = []
    for user in chosen.tolist():
        profile = window.profiles.slice(user, user + 1)
        liked = profile.items[profile.positive][np.argsort(-profile.times_us[profile.positive], kind="stable")][:10]
        later = window.later_item[(window.later_user == user) & window.relevant][:10]
        shown = candidate.shown[user, :10]
        out.append(
            {
                "user_id": contest.prepared.users[window.users[user]],
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
