"""What a run will do, what it will cost, and that it is refused over budget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from usher.algorithms import ALGORITHMS as REGISTERED
from usher.algorithms.definition import Parameter, Tuning
from usher.errors import NoPrice, OverBudget
from usher.runs import cost
from usher.runs.cost import RATINGS_MIN, TrainingRows

ALGORITHMS = tuple(REGISTERED.values())
FM = REGISTERED["fm"]
MACHINES = cost.JobSettings("ml.m5.xlarge", "ml.m5.xlarge", trials=4)
WINNER = cost.TuningResult(1000, {one.name: dict(one.defaults) for one in ALGORITHMS})


def test_a_run_over_budget_is_refused_with_its_numbers() -> None:
    expected = cost.estimate(TrainingRows(100_000), ALGORITHMS, MACHINES)
    with pytest.raises(OverBudget) as refused:
        cost.check_budget("r1-1", expected, 0.1)
    words = str(refused.value)
    assert f"run r1-1 would cost {expected.usd:.2f} USD, over the budget of 0.10 USD" in words
    assert "tune fm 4 x ml.m5.xlarge" in words
    assert "raise BudgetUsd" in words


def test_a_run_at_its_budget_may_start() -> None:
    expected = cost.estimate(TrainingRows(100_000), ALGORITHMS, MACHINES)
    cost.check_budget("r1-1", expected, expected.usd)


def test_an_instance_type_without_a_price_is_refused_since_its_budget_cannot_be_checked() -> None:
    with pytest.raises(
        NoPrice, match=r"no price is known for job instance type 'ml\.p9\.huge'.*choose one of ml\.t3\.medium"
    ):
        cost.estimate(TrainingRows(1), (), cost.JobSettings("ml.m5.large", "ml.p9.huge", 1))


def test_the_expected_cost_is_the_sum_of_every_job() -> None:
    expected = cost.estimate(TrainingRows(1), ALGORITHMS, MACHINES)
    jobs = 2 + len(ALGORITHMS) * (1 + 4)
    assert sum(job.count for job in expected.jobs) == jobs
    assert expected.usd == pytest.approx(jobs * cost.START_SECONDS / 3600 * 0.23, abs=0.001)


def test_more_rows_and_more_trials_cost_more() -> None:
    assert cost.estimate(TrainingRows(10**7), (), MACHINES).usd > cost.estimate(TrainingRows(10**5), (), MACHINES).usd
    assert (
        cost.estimate(TrainingRows(10**5), ALGORITHMS, MACHINES).usd
        > cost.estimate(TrainingRows(10**5), (), MACHINES).usd
    )


@pytest.mark.parametrize(
    ("rows", "winner", "tuned"),
    [
        (10, None, True),
        (1499, WINNER, False),
        (1500, WINNER, True),
        (1000, cost.TuningResult(1000, {}), True),
        (1000, cost.TuningResult(1000, {"fm": {"num_factors": "8"}}), True),
    ],
)
def test_an_algorithm_is_tuned_at_first_and_again_when_the_data_has_grown_or_its_ranges_are_new(
    rows: int, winner: cost.TuningResult | None, tuned: bool
) -> None:
    assert cost.is_tuned(FM, rows, winner) is tuned


def test_an_algorithm_without_ranges_is_never_tuned() -> None:
    assert not cost.is_tuned(replace(FM, parameters=()), 10**9, None)


def test_without_tuning_the_last_tunings_hyperparameters_are_taken_and_unknown_ones_ignored() -> None:
    winner = cost.TuningResult(1, {"fm": {"num_factors": "33", "gone": "1"}})
    assert cost.hyperparameters(FM, winner) == {**FM.defaults, "num_factors": "33"}
    assert cost.hyperparameters(FM, None) == FM.defaults


def test_every_algorithm_has_a_job_with_strings_as_hyperparameters() -> None:
    jobs = cost.jobs(TrainingRows(10), None)
    assert [job["name"] for job in jobs] == ["fm", "knn", "ranker"]
    for job in jobs:
        assert all(isinstance(value, str) for value in {**job["hyperparameters"], **job["fixed"]}.values())
        for kind in job["ranges"].values():
            assert all(isinstance(value, str) for one in kind for value in one.values())


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (TrainingRows(0, 5000), "there are no ratings"),
        (TrainingRows(1, 2), "1 ratings beside 2 events are too few"),
        (TrainingRows(RATINGS_MIN - 1, 5000), "2,999 ratings beside 5,000 events are too few"),
        (TrainingRows(RATINGS_MIN, 10**6), ""),
        (TrainingRows(300, 200), ""),
        (TrainingRows(300), ""),
    ],
)
def test_without_enough_ratings_beside_the_events_fm_is_left_out_and_it_says_why(
    rows: TrainingRows, named: str
) -> None:
    left_out = rows.left_out()
    assert (set(left_out) == {"fm"}) is bool(named)
    assert named in left_out.get("fm", "")
    expected = ["knn", "ranker"] if named else ["fm", "knn", "ranker"]
    assert [job["name"] for job in cost.jobs(rows, None)] == expected
    steps = {job.name for job in cost.estimate(rows, rows.algorithms(), MACHINES).jobs}
    assert ("train fm" in steps) is not bool(named)


def test_events_add_to_the_cost_but_not_to_that_of_fm() -> None:
    few, many = (cost.estimate(TrainingRows(10_000, events), (), MACHINES) for events in (0, 10**6))
    seconds = [{job.name: job.seconds for job in one.jobs} for one in (few, many)]
    assert seconds[0]["train fm"] == seconds[1]["train fm"]
    assert seconds[0]["train ranker"] < seconds[1]["train ranker"]


def test_a_whole_bound_is_written_without_a_fraction() -> None:
    assert Parameter("x", "integer", 10, "", 1, 10**6, tuning=Tuning(10, 10_000)).range_request()["MaxValue"] == "10000"
