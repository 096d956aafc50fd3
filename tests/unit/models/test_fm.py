"""The factorization machine: against a numpy reference, on data with a known answer, and where it must refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from usher.algorithms import ALGORITHMS
from usher_models.artifacts import TrainingResult
from usher_models.errors import DataError, FitError
from usher_models.evaluation.metrics import bias_only, predict_rows, rating_metrics
from usher_models.evaluation.window import Window
from usher_models.models import fm_kernel, fm_sampler
from usher_models.models.fm import _affordable
from usher_models.ratings import Items, Ratings
from usher_scorer.profiles import Profiles
from usher_scorer.rater import read_rater

Fit = Callable[..., TrainingResult]


def whole_window(train: Ratings, test: Ratings) -> Window:
    users = np.unique(test.user).astype(np.int64)
    rows = test.take(np.lexsort((test.item, test.user)))
    place = np.searchsorted(users, rows.user)
    known = np.isin(users, train.user)
    return Window(users, train.profiles(users), known, place, rows.item.astype(np.int64), rows.value)


def halves(ratings: Ratings, seed: int = 0) -> tuple[Ratings, Ratings]:
    order = np.random.default_rng(seed).permutation(len(ratings))
    cut = len(order) * 3 // 4
    return ratings.take(np.sort(order[:cut])), ratings.take(np.sort(order[cut:]))


def test_without_a_rating_nothing_is_fitted(rated: Callable[..., Ratings], items: Items, fit: Fit) -> None:
    empty = rated([(0, 0, 4.0, 0)]).take(np.zeros(1, np.bool_))
    with pytest.raises(DataError, match="no rating to train on"):
        fit("fm", empty, items)


def test_nan_in_the_ratings_fails_loudly(world: Ratings, items: Items, fit: Fit) -> None:
    value = world.value.copy()
    value[5] = np.nan
    broken = Ratings(world.user, world.item, value, world.time_us)
    with pytest.raises(FitError, match="drew NaN"):
        fit("fm", broken, items)


def test_one_rating_of_one_user_and_item_still_gives_numbers(
    rated: Callable[..., Ratings], nameless: Callable[[int], Items], fit: Fit
) -> None:
    result = fit("fm", rated([(0, 0, 4.0, 0)]), nameless(1))
    rater = read_rater(result.artifact.settings, result.artifact.arrays, 1)
    row = rater.fold_in(Profiles.of_one([0], [4.0], [0]))
    assert 0.5 <= rater.ratings(row, np.array([0]))[0] <= 5


def test_equal_ratings_are_predicted_as_they_are(
    rated: Callable[..., Ratings], nameless: Callable[[int], Items], fit: Fit
) -> None:
    same = rated([(u, i, 3.0, u) for u in range(20) for i in range(10)])
    result = fit("fm", same, nameless(10))
    rater = read_rater(result.artifact.settings, result.artifact.arrays, 10)
    row = rater.fold_in(Profiles.of_one([1, 2], [3.0, 3.0], [0, 0]))
    np.testing.assert_allclose(rater.ratings(row, np.arange(10)), 3.0, atol=0.25)


def draw_row(  # noqa: PLR0917 - its inputs, one by one
    y: Any, factors: Any, bias: Any, weight: Any, noise: float, precision: Any, prior: Any, normals: Any
) -> tuple[Any, Any, float]:
    """The kernel's row draw in numpy: the draw, its conditional mean and the draw's weighted squared error.

    y (n,): the row's ratings; factors (n, k), bias (n,), weight (n,): the rows on the other side; noise: alpha;
    precision, prior, normals (k + 1,). Equation 14 of BPMF (Salakhutdinov and Mnih 2008), a bias as one more factor.
    """
    q = np.column_stack([factors, np.ones(len(y))]) * weight[:, None]
    r = weight * (y - bias)
    lower = np.linalg.cholesky(noise * q.T @ q + np.diag(precision))
    mean = np.linalg.solve(lower @ lower.T, noise * q.T @ r + precision * prior)
    x = mean + np.linalg.solve(lower.T, normals)
    return x.astype(np.float32), mean.astype(np.float32), float(np.sum((r - q @ x) ** 2))


@pytest.mark.parametrize("ratings", [0, 1, 3, 4, 9, 200])
def test_the_kernel_draws_what_the_reference_draws(ratings: int) -> None:
    random = np.random.default_rng(ratings)
    factors, count, rows = 5, 30, 3
    other = random.normal(size=(count, factors + 1)).astype(np.float32)
    weight = random.uniform(0.5, 2, count).astype(np.float32)
    bias = other[:, -1].copy()
    seen = other * weight[:, None]
    seen[:, -1] = weight
    index = random.integers(0, count, rows * ratings).astype(np.int32)
    y = random.normal(size=rows * ratings).astype(np.float32)
    pointer = np.arange(rows + 1, dtype=np.int64) * ratings
    stats = np.empty((1, fm_kernel.statistics_size(factors + 1), fm_kernel.LANES), np.float32)
    fm_kernel.statistics(pointer, index, y, seen, bias, 0, 1, stats)
    noise = random.uniform(0.5, 3, rows).astype(np.float32)
    precision = random.uniform(0.5, 3, factors + 1).astype(np.float32)
    prior, normals = (random.normal(size=(rows, factors + 1)).astype(np.float32) for _ in range(2))
    drawn, means = np.empty((2, rows, factors + 1), np.float32)
    errors = np.empty(rows, np.float32)
    fm_kernel.draw(stats, noise, precision, prior, normals, 0, 1, drawn, means, errors)
    for row in range(rows):
        own = slice(pointer[row], pointer[row + 1])
        at = index[own]
        expected = draw_row(
            y[own], other[at, :-1], bias[at], weight[at], float(noise[row]), precision, prior[row], normals[row]
        )
        np.testing.assert_allclose(drawn[row], expected[0], atol=2e-3)
        np.testing.assert_allclose(means[row], expected[1], atol=2e-3)
        assert errors[row] == pytest.approx(expected[2], rel=2e-3, abs=2e-2)


def test_the_draws_are_the_same_with_any_number_of_threads(world: Ratings, items: Items) -> None:
    def run(threads: int) -> list[Any]:
        kept: list[Any] = []

        def each(sweep: fm_sampler.Sweep) -> None:
            kept.append((sweep.users.rows.copy(), sweep.items.rows.copy()))

        shape = (world.users, len(items))
        fm_sampler.sample(
            world.user, world.item, world.value, shape, factors=4, sweeps=5, seed=3, threads=threads, each=each
        )
        return kept

    one, two = run(1), run(3)
    for (users, rows), (other_users, other_rows) in zip(one, two, strict=True):
        assert users.tobytes() == other_users.tobytes()
        assert rows.tobytes() == other_rows.tobytes()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(world: Ratings, items: Items, fit: Fit) -> None:
    given = {"num_factors": "3", "epochs": "6", "samples": "2"}
    one, two, other = (fit("fm", world, items, {**given, "seed": seed}) for seed in ("1", "1", "2"))
    for name, array in one.artifact.arrays.items():
        assert array.tobytes() == two.artifact.arrays[name].tobytes()
    assert one.artifact.arrays["means"].tobytes() != other.artifact.arrays["means"].tobytes()


def test_a_rank_1_matrix_is_recovered(
    rated: Callable[..., Ratings], nameless: Callable[[int], Items], fit: Fit
) -> None:
    """2.75 + a_u b_i with a, b = ±1 cannot be said by offsets; one factor says it."""
    sign = np.random.default_rng(1).choice([-1.5, 1.5], 40)
    column = np.random.default_rng(2).choice([-1.0, 1.0], 30)
    everything = rated([(u, i, 2.75 + sign[u] * column[i], u + i) for u in range(40) for i in range(30)])
    train, test = halves(everything)
    window = whole_window(train, test)
    result = fit("fm", train, nameless(30), {"num_factors": "2", "epochs": "60", "item_features": "no"})
    rater = read_rater(result.artifact.settings, result.artifact.arrays, 30)
    assert rating_metrics(predict_rows(rater, window), window.later_value)["rmse"] < 0.1
    assert rating_metrics(bias_only(train, window), window.later_value)["rmse"] > 1.2


def test_item_features_predict_ratings_of_items_without_ratings(world: Ratings, items: Items, fit: Fit) -> None:
    """Items 38 and 39 have no rating; their genres do."""
    result = fit("fm", world, items, {"num_factors": "4", "epochs": "60"})
    rater = read_rater(result.artifact.settings, result.artifact.arrays, len(items))
    row = rater.fold_in(world.profiles(np.array([0])))
    even, odd = rater.ratings(row, np.array([38, 39]))
    assert even - odd > 1


def test_a_classifier_predicts_probabilities(world: Ratings, items: Items, fit: Fit) -> None:
    train, test = halves(world)
    result = fit(
        "fm", train, items, {"predictor_type": "binary_classifier", "num_factors": "4", "epochs": "60", "samples": "8"}
    )
    rater = read_rater(result.artifact.settings, result.artifact.arrays, len(items))
    window = whole_window(train, test)
    chance = predict_rows(rater, window)
    assert 0 <= chance.min() <= chance.max() <= 1
    assert np.mean((chance > 0.5) == (window.later_value >= 4)) > 0.8  # 0.875 is the best there is


def test_noise_of_each_user_is_found(rated: Callable[..., Ratings], nameless: Callable[[int], Items]) -> None:
    random = np.random.default_rng(0)
    spread = np.array([0.1, 1.0] * 20)
    rows = [(u, i, float(np.clip(2.75 + random.normal() * spread[u], 0.5, 5)), 0) for u in range(40) for i in range(50)]
    noise: list[Any] = []
    data = rated(rows)
    fm_sampler.sample(
        data.user,
        data.item,
        data.value,
        (40, 50),
        factors=2,
        sweeps=30,
        seed=0,
        each=lambda sweep: noise.append(sweep.users.noise.copy()),
    )
    precision = np.mean(noise[10:], axis=0)
    assert np.median(precision[0::2]) > 20 * np.median(precision[1::2])


def test_many_items_keep_fewer_samples() -> None:
    assert _affordable(32, 10_000, 16) == 32
    assert _affordable(32, 1_000_000, 64) == 1


def test_the_parameters_have_the_names_of_the_built_in_algorithm() -> None:
    names = {parameter.name for parameter in ALGORITHMS["fm"].parameters}
    assert {"num_factors", "epochs", "predictor_type"} <= names
