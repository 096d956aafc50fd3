"""Evaluation: void results refused, metrics against their definitions, and one window for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usher.runs.gate import judge as gate
from usher_models.artifacts import TrainingResult
from usher_models.errors import DataError
from usher_models.evaluation import leakage
from usher_models.evaluation.build_bundle import Prepared, build_bundle
from usher_models.evaluation.bundle_scores import score_bundle, score_popularity
from usher_models.evaluation.metrics import paired_interval, relevant_counts, user_metrics
from usher_models.evaluation.program import evaluate_models
from usher_models.evaluation.window import split_window
from usher_models.ratings import Items, Ratings
from usher_scorer.bundle import Bundle

Rated = Callable[..., Ratings]


def test_a_model_fitted_on_the_rating_values_is_refused_at_the_gate(
    rated: Rated,
    fit: Callable[..., TrainingResult],
    nameless: Callable[[int], Items],
    make_prepared: Callable[..., Prepared],
) -> None:
    """The published "RMSE 0.30" with our fm: the "user" of a row is its rating's code, and the fit is near perfect."""
    random = np.random.default_rng(0)
    values = random.integers(1, 11, 3000) / 2
    rows = [(int(value * 2) - 1, n % 200, float(value), n // 30) for n, value in enumerate(values)]
    data, items = rated(rows), nameless(200)
    prepared = make_prepared(data, items, 80)
    assert "the user id alone determines every rating: the label is in the ids" in leakage.label_findings(data)
    result = fit("fm", prepared.before, items, {"num_factors": "2", "epochs": "40", "item_features": "no"})
    facts = evaluate(prepared, [result])
    assert any("the label is in the features" in finding for finding in facts["leaks"])
    assert gate(facts, 1).name == "leak"


def test_row_numbers_as_labels_are_refused() -> None:
    """The published "MSE 3,222,687": labels that were row numbers."""
    assert leakage.looks_like_row_numbers(np.arange(10_000))
    assert leakage.looks_like_row_numbers(np.arange(10_000)[::-1] * 2.5 + 7)
    ratings = np.random.default_rng(0).integers(1, 11, 10_000) / 2
    assert not leakage.looks_like_row_numbers(ratings)
    assert not leakage.looks_like_row_numbers(np.sort(ratings))


def test_plausible_ratings_are_not_leakage(world: Ratings) -> None:
    assert leakage.label_findings(world) == []


def test_equal_ratings_are_not_leakage(rated: Rated) -> None:
    assert leakage.label_findings(rated([(u, i, 3.0, 0) for u in range(20) for i in range(10)])) == []


@pytest.mark.parametrize(("shift_us", "champion"), [(0, 0), (-1, 1)])
def test_a_window_that_was_seen_is_found(prepared: Prepared, shift_us: int, champion: int) -> None:
    start = int(prepared.summary["split_at_us"])
    findings = leakage.window_findings(
        start + shift_us, (start + 1) * champion, start, prepared.before, prepared.inside
    )
    assert len(findings) == 1


def test_training_rows_in_the_window_are_found(prepared: Prepared) -> None:
    both = prepared.before.join(prepared.inside.take(np.arange(3)))
    findings = leakage.window_findings(0, 0, int(prepared.summary["split_at_us"]), both, prepared.inside)
    assert findings == ["training rows are as late as the window", "rows of the window are among the training rows"]


def test_an_error_only_the_answer_explains_is_too_good() -> None:
    assert leakage.too_good(0.3, 0.87)
    assert not leakage.too_good(0.8, 0.87)
    assert not leakage.too_good(0.0, 0.01)


def evaluate(prepared: Prepared, trained: list[TrainingResult], champion: Bundle | None = None) -> dict[str, Any]:
    import tempfile  # noqa: PLC0415 - a helper with a folder of its own

    with tempfile.TemporaryDirectory() as folder:
        return evaluate_models(prepared, trained, build_bundle(prepared, trained, Path(folder) / "bundle"), champion)


def test_training_results_of_another_run_are_refused(
    prepared: Prepared, trained: list[TrainingResult], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="pass models and data of one run"):
        build_bundle(prepared, [replace(trained[0], items=41)], tmp_path / "bundle")


def test_a_whole_bundle_is_evaluated_and_passes_the_gate(prepared: Prepared, trained: list[TrainingResult]) -> None:
    facts = evaluate(prepared, trained)
    assert facts["leaks"] == []
    verdict = gate(facts, 20)
    assert verdict.passed, verdict.reason
    assert facts["intervals"]["candidate-popularity"]["ndcg@10"]["low"] > 0
    assert facts["metrics"]["candidate"]["rmse"] < facts["metrics"]["bias_only"]["rmse"]
    assert facts["champion_model_id"] is None
    assert len(facts["examples"]) == 5


def test_evaluating_twice_gives_the_same_facts(prepared: Prepared, trained: list[TrainingResult]) -> None:
    one, two = evaluate(prepared, trained), evaluate(prepared, trained)
    one.pop("seconds"), two.pop("seconds")
    assert one == two


def test_a_candidate_is_as_good_as_itself(prepared: Prepared, trained: list[TrainingResult], bundle: Bundle) -> None:
    until = replace(bundle.manifest, trained_until="2020-09-13T12:26:40+00:00")
    facts = evaluate(prepared, trained, replace(bundle, manifest=until))
    interval = facts["intervals"]["candidate-champion"]["ndcg@10"]
    assert interval == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert gate(facts, 20).passed


def test_a_broken_candidate_is_worse(prepared: Prepared, trained: list[TrainingResult], bundle: Bundle) -> None:
    result = next(result for result in trained if result.name == "ranker")
    turned = {**result.artifact.arrays, "matrix": -result.artifact.arrays["matrix"]}
    bad = [replace(result, artifact=type(result.artifact)(result.artifact.settings, turned))]
    verdict = gate(evaluate(prepared, bad, bundle), 20)
    assert verdict.name in {"popularity", "worse"}


def test_a_champion_with_other_dense_ids_is_evaluated_by_item_ids(
    prepared: Prepared, bundle: Bundle, tmp_path: Path, fit: Callable[..., TrainingResult]
) -> None:
    """The same model with its items in another order shows the same items."""
    order = np.random.default_rng(0).permutation(len(prepared.items))
    place = np.argsort(order)
    catalogue = prepared.items.catalogue
    shuffled = replace(
        catalogue,
        ids=tuple(catalogue.ids[n] for n in order),
        titles=tuple(catalogue.titles[n] for n in order),
        genres=tuple(catalogue.genres[n] for n in order),
        years=catalogue.years[order],
    )
    items = Items(shuffled, tuple(prepared.items.tags[n] for n in order))
    before, inside = (
        replace(result, item=place[result.item].astype(np.int32)) for result in (prepared.before, prepared.inside)
    )
    other = replace(prepared, before=before, inside=inside, items=items)
    champion = build_bundle(other, [fit("ranker", before, items)], tmp_path / "champion")
    window = split_window(prepared.before, prepared.inside)
    ours, theirs = (score_bundle(model, window, catalogue.ids) for model in (bundle, champion))
    assert (ours.shown[:, 0] == theirs.shown[:, 0]).mean() > 0.9
    np.testing.assert_allclose(ours.metrics["ndcg@10"].mean(), theirs.metrics["ndcg@10"].mean(), atol=0.02)


def test_an_empty_window_is_insufficient_and_no_crash(
    world: Ratings, items: Items, make_prepared: Callable[..., Prepared], fit: Callable[..., TrainingResult]
) -> None:
    prepared = make_prepared(world, items, 301)
    facts = evaluate(prepared, [fit("ranker", prepared.before, items)])
    assert facts["window"]["users"] == 0
    assert gate(facts, 50).name == "insufficient"


def test_the_first_half_of_the_window_is_the_profile(rated: Rated) -> None:
    before = rated([(0, 9, 5.0, 0), (1, 9, 5.0, 0)])
    inside = rated([(0, n, 5.0, 10 + n) for n in range(5)] + [(2, 0, 4.0, 10)])
    window = split_window(before, inside)
    assert window.users.tolist() == [0, 2]
    assert sorted(window.profiles.slice(0, 1).items.tolist()) == [0, 1, 9]
    assert window.later_item.tolist() == [2, 3, 4, 0]
    assert window.known.tolist() == [True, False]


def test_metrics_are_what_they_are_defined_to_be(rated: Rated) -> None:
    later = [(0, 0, 3.0, 9), (0, 1, 5.0, 10), (0, 2, 4.0, 11), (0, 3, 2.0, 12)]
    window = split_window(
        rated([(0, 9, 3.0, 0)]), rated([(0, 8, 3.0, 1), (0, 7, 3.0, 2), (0, 6, 3.0, 3), (0, 5, 3.0, 4), *later])
    )
    shown = np.array([[4, 1, 3, 2] + [-1] * 16])
    metrics = {name: float(values[0]) for name, values in user_metrics(shown, window).items()}
    ideal = 1 + 1 / np.log2(3)
    assert metrics["ndcg@10"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / ideal)
    assert metrics["map@10"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert metrics["recall@10"] == metrics["recall@20"] == 1
    assert relevant_counts(window).tolist() == [2]


def test_popularity_shows_no_user_an_item_that_they_rated(prepared: Prepared) -> None:
    window = split_window(prepared.before, prepared.inside)
    shown = score_popularity(np.arange(len(prepared.items), dtype=np.float32), window).shown
    for user in range(len(window.users)):
        assert not set(shown[user].tolist()) & set(window.profiles.slice(user, user + 1).items.tolist())


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        difference = random.normal(0.1, 1, 80)
        interval = paired_interval(difference, np.zeros(80), 0)
        covered += interval.low <= 0.1 <= interval.high
    assert 87 <= covered <= 100
    assert paired_interval(difference, np.zeros(80), 0) == interval
