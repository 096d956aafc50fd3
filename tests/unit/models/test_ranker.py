"""The ranker: EASE against its definition, iALS beside it, and data with a known answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from usher_models.artifacts import TrainingResult
from usher_models.errors import DataError, FitError
from usher_models.models.ranker import ease
from usher_models.ratings import Items, Ratings
from usher_scorer.profiles import Profiles, grade
from usher_scorer.ranker import read_ranker

Rated = Callable[..., Ratings]
Nameless = Callable[[int], Items]
Fit = Callable[..., TrainingResult]


def test_too_few_positives_say_how_many_are_needed(rated: Rated, nameless: Nameless, fit: Fit) -> None:
    few = rated([(0, 0, 5.0, 0), (1, 0, 5.0, 0)])
    with pytest.raises(DataError, match="no item has 3 ratings of at least 4"):
        fit("ranker", few, nameless(1), {})


def test_all_ratings_below_4_leave_nothing_to_rank(rated: Rated, nameless: Nameless, fit: Fit) -> None:
    with pytest.raises(DataError, match="more data or a lower min_positives"):
        fit("ranker", rated([(u, i, 2.0, 0) for u in range(9) for i in range(5)]), nameless(5), {})


def test_a_singular_matrix_says_what_to_do() -> None:
    with pytest.raises(FitError, match="a higher regularization"):
        ease(np.asfortranarray(np.full((3, 3), -1.0, np.float32)), 0.5)


def test_ease_is_what_steck_defines() -> None:
    random = np.random.default_rng(0)
    x = (random.random((50, 8)) < 0.4).astype(np.float64)
    weights = ease(np.asfortranarray(x.T @ x, np.float32), 3.0)
    inverse = np.linalg.inv(x.T @ x + 3.0 * np.eye(8))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(weights, expected, atol=1e-4)


@pytest.mark.parametrize("method", ["ease", "ials"])
def test_a_checkerboard_is_ranked_by_colour(rated: Rated, nameless: Nameless, fit: Fit, method: str) -> None:
    board = rated([(u, i, 5.0, u) for u in range(30) for i in range(10) if u % 2 == i % 2 and (u // 2 + i) % 5])
    given = {"method": method, "regularization": "5", "side_weight": "0", "num_factors": "2"}
    result = fit("ranker", board, nameless(10), given)
    ranker = read_ranker(result.artifact.settings, result.artifact.arrays, 10)
    for colour in (0, 1):
        liked = [colour, colour + 2]
        scores = ranker.scores(Profiles.of_one(liked, [5.0, 5.0], [0, 1]))[0]
        scores[liked] = -np.inf
        assert sorted(np.argsort(-scores)[:3] % 2) == [colour] * 3


def test_above_max_items_auto_takes_ials(world: Ratings, items: Items, fit: Fit) -> None:
    small = fit("ranker", world, items, {"regularization": "20"})
    large = fit("ranker", world, items, {"max_items": "5", "num_factors": "4"})
    assert small.artifact.settings["kind"] == "ease"
    assert large.artifact.settings["kind"] == "ials"


def test_ials_folds_in_the_solution_of_its_own_normal_equations(world: Ratings, items: Items, fit: Fit) -> None:
    result = fit("ranker", world, items, {"method": "ials", "num_factors": "4", "regularization": "30", "alpha": "5"})
    ranker = read_ranker(result.artifact.settings, result.artifact.arrays, len(items))
    factors = result.artifact.arrays["factors"].astype(np.float64)
    profile = Profiles.of_one([0, 1], [5.0, 5.0], [0, 0])
    weight = np.zeros(len(ranker.covered))
    weight[np.searchsorted(ranker.covered, [0, 1])] = 1.2 * (0.3 + 0.7 * 0.5 ** (0.5 / 5))
    confidence = np.where(weight > 0, 5 * weight, 1)
    a = factors.T @ (factors * confidence[:, None]) + np.eye(4)
    expected = factors @ np.linalg.solve(a, factors.T @ (5 * weight))
    np.testing.assert_allclose(ranker.scores(profile)[0], expected, atol=1e-3)


def test_side_features_bring_items_of_a_kind_together(world: Ratings, items: Items, fit: Fit) -> None:
    def same_kind(side_weight: str) -> float:
        result = fit("ranker", world, items, {"side_weight": side_weight, "regularization": "300"})
        matrix, covered = result.artifact.arrays["matrix"], result.artifact.arrays["covered"]
        same = (covered[:, None] % 2) == (covered % 2)
        return float(matrix[same].sum() - matrix[~same].sum())

    assert same_kind("1") > same_kind("0")


def test_what_was_disliked_counts_against() -> None:
    weights = grade(np.array([0.5, 1, 2, 2.5, 3, 3.5, 4, 4.5, 5], np.float32))
    assert (np.diff(weights) >= 0).all()
    assert weights[0] < 0 < weights[4] < weights[6] < weights[8]
