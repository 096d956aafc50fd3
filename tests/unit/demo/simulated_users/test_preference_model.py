"""The preference model: ranks held-out likes better than popularity does, calibrated, reproducible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.errors import CommandError
from demo.generator.files import generate
from demo.generator.world import Size
from demo.simulated_users.history import History, read_history
from demo.simulated_users.preference_model import Calibration, PreferenceModel, fit_preferences
from usher.schema.interactions import POSITIVE_RATING


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("ratings")
    generate(folder, Size(200, 600, 12_000), 7)
    return read_history(folder / "ratings.csv")


@pytest.fixture(scope="module")
def preferences(history: History) -> PreferenceModel:
    return fit_preferences(history, 3)


def ratings_file(folder: Path, *lines: str) -> Path:
    path = folder / "ratings.csv"
    path.write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    return path


def test_a_file_with_other_columns_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(CommandError, match=r"is not a ratings\.csv in MovieLens' format"):
        read_history(path)


def test_a_rating_that_is_not_a_number_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"is not a ratings\.csv") as error:
        read_history(ratings_file(tmp_path, "1,2,many,5"))
    assert "\n" not in str(error.value)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has no rows"):
        read_history(ratings_file(tmp_path))


def test_too_few_likes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="only 1 ratings are 4 stars or more, and simulated users need at least 50"):
        fit_preferences(read_history(ratings_file(tmp_path, "1,2,5.0,5", "1,3,1.0,6")), 1)


def test_rows_are_ordered_by_time_and_ids_stay_strings(tmp_path: Path) -> None:
    found = read_history(ratings_file(tmp_path, "007,b,5.0,30", "1,a,4.5,10", "007,a,3.0,20"))
    assert found.seconds.tolist() == [10, 20, 30]
    assert [found.user_ids[user] for user in found.user] == ["1", "007", "007"]
    assert [found.item_ids[item] for item in found.item] == ["a", "a", "b"]


def test_the_model_ranks_held_out_likes_better_than_popularity_does(preferences: PreferenceModel) -> None:
    assert preferences.calibration.auc > preferences.calibration.popularity_auc + 0.01
    assert preferences.calibration.auc > 0.6


def test_the_same_seed_gives_the_same_model_and_another_seed_another(
    history: History, preferences: PreferenceModel
) -> None:
    again, other = fit_preferences(history, 3), fit_preferences(history, 4)
    assert np.array_equal(preferences.factors.items, again.factors.items)
    assert preferences.calibration == again.calibration
    assert not np.array_equal(preferences.factors.items, other.factors.items)


def test_held_out_likes_are_as_frequent_as_the_probabilities_predict(history: History) -> None:
    """Fit and calibrate on one half of the likes; the other half is the test set."""
    rng = np.random.default_rng(5)
    liked = history.rating >= POSITIVE_RATING
    hidden = liked & (rng.random(len(history)) < 0.1)
    fitted = fit_preferences(history.rows(~hidden), 1)
    known = np.zeros((len(history.user_ids), len(history.item_ids)), dtype=np.bool_)
    known[history.user[~hidden], history.item[~hidden]] = True
    likes = np.zeros_like(known)
    likes[history.user[hidden], history.item[hidden]] = True
    chance = np.stack([fitted.like_probability(vector, np.arange(known.shape[1])) for vector in fitted.factors.users])
    expected, observed = chance[~known].sum(), likes[~known].sum()
    assert observed / 2 < expected < observed * 2
    order = np.argsort(-chance[~known])
    top = order[: len(order) // 20]
    assert likes[~known][top].mean() > 3 * likes[~known].mean()
    assert chance[~known][top].sum() == pytest.approx(likes[~known][top].sum(), rel=0.6)


def test_probabilities_rise_with_the_score_and_stay_between_zero_and_one() -> None:
    chance = Calibration(-7.0, 0.3, 6.0).probability(np.array([-1.0, 0.0, 0.1, 0.5, 1.0, 1.5]))
    assert (np.diff(chance) >= 0).all()
    assert (chance > 0).all() and (chance < 1).all()


def test_ratings_are_half_stars_and_follow_the_biases(preferences: PreferenceModel) -> None:
    rng = np.random.default_rng(1)
    best, worst = int(preferences.item_bias.argmax()), int(preferences.item_bias.argmin())
    given = {item: [preferences.rating(0.0, item, rng) for _ in range(300)] for item in (best, worst)}
    assert {stars * 2 % 1 for values in given.values() for stars in values} == {0.0}
    assert all(0.5 <= stars <= 5.0 for values in given.values() for stars in values)
    assert np.mean(given[best]) > np.mean(given[worst]) + 0.5
