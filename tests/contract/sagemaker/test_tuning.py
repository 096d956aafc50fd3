"""Tuning jobs on the twin: trials are real jobs, proposed by a search that learns. Failure paths first."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

Lab = Any

X = {"Name": "x", "MinValue": "0", "MaxValue": "1", "ScalingType": "Linear"}


def _request(
    lab: Lab, count: int = 4, parallel: int = 2, static: dict[str, str] | None = None, **config: Any
) -> dict[str, Any]:
    training = lab.training("ignored")
    definition = {name: value for name, value in training.items() if name not in ("TrainingJobName", "HyperParameters")}
    return {
        "HyperParameterTuningJobName": "hpo",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": count, "MaxParallelTrainingJobs": parallel},
            "ParameterRanges": {"ContinuousParameterRanges": [X]},
            **config,
        },
        "TrainingJobDefinition": {**definition, "StaticHyperParameters": static or {"epochs": "1"}},
    }


def _describe(lab: Lab, name: str = "hpo") -> dict[str, Any]:
    found: dict[str, Any] = lab.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    return found


def _ended(lab: Lab, name: str = "hpo") -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        found = _describe(lab, name)
        return found if found["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped") else None

    found: dict[str, Any] = lab.eventually(ended, seconds=60)
    return found


def _tune(lab: Lab, request: dict[str, Any]) -> dict[str, Any]:
    lab.sagemaker.create_hyper_parameter_tuning_job(**request)
    return _ended(lab, request["HyperParameterTuningJobName"])


def _trials(lab: Lab, name: str = "hpo", **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, **more
    )["TrainingJobSummaries"]
    return found


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ({}, "at least one hyperparameter"),
        ({"ContinuousParameterRanges": [{**X, "MaxValue": "0"}]}, "must have MinValue < MaxValue, and is 0 to 0"),
        ({"ContinuousParameterRanges": [{**X, "ScalingType": "Logarithmic"}]}, "must lie above 0 for Logarithmic"),
        ({"ContinuousParameterRanges": [{**X, "MinValue": "low"}]}, "is not numeric"),
        ({"IntegerParameterRanges": [{**X, "MinValue": "0.5"}]}, "is not numeric"),
        ({"ContinuousParameterRanges": [{**X, "ScalingType": "ReverseLogarithmic"}]}, "does not support Reverse"),
        ({"ContinuousParameterRanges": [X], "IntegerParameterRanges": [X]}, "must be unique"),
        ({"ContinuousParameterRanges": [{**X, "Name": "epochs"}]}, "both static and tuned: epochs"),
    ],
)
def test_impossible_ranges_are_refused(lab: Lab, ranges: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said):
        lab.sagemaker.create_hyper_parameter_tuning_job(**_request(lab, ParameterRanges=ranges))


def test_what_aws_refuses_is_refused(lab: Lab) -> None:
    create = lab.sagemaker.create_hyper_parameter_tuning_job
    with pytest.raises(ClientError, match="less than or equal to 32"):
        create(**{**_request(lab), "HyperParameterTuningJobName": "h" * 33})
    with pytest.raises(ClientError, match=r"objective metric recall must be one of MetricDefinitions \(score, loss\)"):
        objective = {"Type": "Maximize", "MetricName": "recall"}
        create(**_request(lab, HyperParameterTuningJobObjective=objective))
    with pytest.raises(ClientError, match="MaxParallelTrainingJobs must not be greater"):
        create(**_request(lab, count=1, parallel=2))
    for strategy in ("Grid", "Hyperband"):
        with pytest.raises(ClientError, match=f"does not support the strategy {strategy}"):
            create(**_request(lab, Strategy=strategy))
    parents = [{"HyperParameterTuningJobName": "none"}]
    warm = {"WarmStartType": "TransferLearning", "ParentHyperParameterTuningJobs": parents}
    with pytest.raises(ClientError, match="does not support WarmStartConfig"):
        create(**_request(lab), WarmStartConfig=warm)
    with pytest.raises(ClientError, match="does not support TuningJobCompletionCriteria"):
        create(**_request(lab, TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.0}))
    with pytest.raises(ClientError) as caught:
        _describe(lab, "unknown")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"


# ── what fails ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tuning_job_whose_trials_all_fail_fails(lab: Lab) -> None:
    job = _tune(lab, _request(lab, count=2, static={"failure": "no data"}))
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("All training jobs failed.")
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 2
    assert "BestTrainingJob" not in job
    assert all(trial["FailureReason"].startswith("AlgorithmError: no data") for trial in _trials(lab))


def test_trials_that_print_no_objective_fail_the_tuning_job(lab: Lab) -> None:
    job = _tune(lab, _request(lab, count=2, static={"epochs": "0"}))
    assert "No training job emitted the objective metric score" in job["FailureReason"]
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 2}


def test_stopping_a_tuning_job_stops_its_trials(lab: Lab) -> None:
    lab.sagemaker.create_hyper_parameter_tuning_job(**_request(lab, static={"epochs": "100", "pause": "0.5"}))
    lab.eventually(lambda: _describe(lab)["TrainingJobStatusCounters"]["InProgress"] == 2, seconds=60)
    lab.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="hpo")
    job = _ended(lab)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == len(_trials(lab)) == 2
    with pytest.raises(ClientError, match="in status Stopped"):
        lab.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="hpo")


# ── what works ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tuning_job_finds_the_best_of_its_trials(lab: Lab) -> None:
    job = _tune(lab, _request(lab, count=6))
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    trials = _trials(lab)
    assert [trial["TrainingJobName"][:8] for trial in trials] == [f"hpo-{number:03d}-" for number in range(1, 7)]
    xs = [float(trial["TunedHyperParameters"]["x"]) for trial in trials]
    assert len(set(xs)) == 6
    assert all(0 <= x <= 1 for x in xs)
    best = job["BestTrainingJob"]
    assert float(best["TunedHyperParameters"]["x"]) == min(xs, key=lambda x: abs(x - 0.3))
    objective = best["FinalHyperParameterTuningJobObjectiveMetric"]
    assert (objective["Type"], objective["MetricName"]) == ("Maximize", "score")
    assert objective["Value"] == max(trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for trial in trials)
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 6,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}


def test_a_trial_is_a_training_job_that_knows_its_tuning_job(lab: Lab) -> None:
    job = _tune(lab, _request(lab, count=1, parallel=1))
    name = job["BestTrainingJob"]["TrainingJobName"]
    trial = lab.sagemaker.describe_training_job(TrainingJobName=name)
    assert trial["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert trial["HyperParameters"] == {
        "_tuning_objective_metric": "score",
        "epochs": "1",
        **job["BestTrainingJob"]["TunedHyperParameters"],
    }
    assert trial["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{lab.bucket}/models/{name}/output/model.tar.gz"


def test_no_more_trials_run_at_once_than_allowed(lab: Lab) -> None:
    request = _request(lab, count=4, parallel=2, static={"epochs": "3", "pause": "0.1"})
    lab.sagemaker.create_hyper_parameter_tuning_job(**request)
    seen = []

    def ended() -> bool:
        described = _describe(lab)
        seen.append(described["TrainingJobStatusCounters"]["InProgress"])
        return bool(described["HyperParameterTuningJobStatus"] == "Completed")

    lab.eventually(ended, seconds=60)
    assert max(seen) == 2


def test_a_seed_repeats_the_proposals(lab: Lab) -> None:
    found = []
    for name in ("one", "two"):
        _tune(lab, {**_request(lab, count=2, parallel=1, RandomSeed=7), "HyperParameterTuningJobName": name})
        found.append([trial["TunedHyperParameters"] for trial in _trials(lab, name)])
    assert found[0] == found[1]


def test_a_trial_below_the_median_is_stopped_early(lab: Lab) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["0.3", "0.31", "0.29", "5"]}]}
    # this seed tries the hopeless value last: the rule needs three completed trials
    random = {"Strategy": "Random", "RandomSeed": 8, "TrainingJobEarlyStoppingType": "Auto"}
    request = _request(
        lab, count=4, parallel=1, static={"epochs": "8", "pause": "0.2"}, ParameterRanges=ranges, **random
    )
    job = _tune(lab, request)
    states = {trial["TunedHyperParameters"]["x"]: trial["TrainingJobStatus"] for trial in _trials(lab)}
    assert states == {"0.3": "Completed", "0.31": "Completed", "0.29": "Completed", "5": "Stopped"}
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"x": "0.3"}


def test_trials_are_listed_by_objective_and_paged(lab: Lab) -> None:
    _tune(lab, _request(lab, count=3))
    order = {"SortBy": "FinalObjectiveMetricValue", "SortOrder": "Descending"}
    values = [trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for trial in _trials(lab, **order)]
    assert values == sorted(values, reverse=True)
    pages = lab.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName="hpo", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["TrainingJobSummaries"]) for page in pages] == [2, 1]
    (listed,) = lab.sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    assert (listed["HyperParameterTuningJobName"], listed["Strategy"]) == ("hpo", "Bayesian")
