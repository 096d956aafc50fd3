"""k nearest neighbours: a checkerboard has one answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from usher_models.artifacts import TrainingResult
from usher_models.errors import DataError
from usher_models.ratings import Items, Ratings

Rated = Callable[..., Ratings]
Nameless = Callable[[int], Items]
Fit = Callable[..., TrainingResult]


def checkerboard(rated: Rated, users: int = 20, items: int = 10) -> Ratings:
    return rated([(u, i, 5.0, u) for u in range(users) for i in range(items) if u % 2 == i % 2 and (u + i) % 7])


def test_without_a_positive_no_item_has_neighbours(rated: Rated, nameless: Nameless, fit: Fit) -> None:
    with pytest.raises(DataError, match="there are no positives"):
        fit("knn", rated([(0, 0, 2.0, 0), (1, 1, 3.5, 0)]), nameless(2))


def test_one_user_and_one_item_have_no_neighbour(rated: Rated, nameless: Nameless, fit: Fit) -> None:
    result = fit("knn", rated([(0, 0, 5.0, 0)]), nameless(1))
    assert result.artifact.arrays["neighbours"].tolist() == [[-1]]


@pytest.mark.parametrize("metric", ["COSINE", "INNER_PRODUCT"])
def test_neighbours_on_a_checkerboard_have_its_colour(rated: Rated, nameless: Nameless, fit: Fit, metric: str) -> None:
    result = fit("knn", checkerboard(rated), nameless(10), {"k": "9", "index_metric": metric})
    near = result.artifact.arrays["neighbours"]
    for item in range(10):
        found = near[item][near[item] >= 0]
        assert sorted(found.tolist()) == [n for n in range(10) if n % 2 == item % 2 and n != item]


def test_k_above_the_catalogue_is_cut_to_it(rated: Rated, nameless: Nameless, fit: Fit) -> None:
    result = fit("knn", checkerboard(rated), nameless(10), {"k": "1024"})
    assert result.artifact.arrays["neighbours"].shape == (10, 9)


def test_the_cosine_is_the_cosine(rated: Rated, nameless: Nameless, fit: Fit) -> None:
    data = rated([(0, 0, 5.0, 0), (1, 0, 5.0, 0), (0, 1, 4.0, 0), (2, 1, 4.5, 0), (2, 2, 1.0, 0)])
    result = fit("knn", data, nameless(3), {"k": "2", "shrinkage": "0"})
    assert result.artifact.arrays["similarity"][0][0] == pytest.approx(0.5)
    assert result.artifact.arrays["neighbours"][2].tolist() == [-1, -1]


def test_a_sample_of_users_is_drawn_by_the_seed(world: Ratings, items: Items, fit: Fit) -> None:
    given = {"sample_size": "30", "k": "5"}
    one, two, other = (fit("knn", world, items, {**given, "seed": seed}) for seed in ("1", "1", "2"))
    assert np.array_equal(one.artifact.arrays["similarity"], two.artifact.arrays["similarity"])
    assert not np.array_equal(one.artifact.arrays["similarity"], other.artifact.arrays["similarity"])


def test_similarities_fall_along_a_row(world: Ratings, items: Items, fit: Fit) -> None:
    similarity = fit("knn", world, items).artifact.arrays["similarity"]
    assert (np.diff(similarity, axis=1) <= 0).all()
