"""The API calls about tuning jobs."""

from __future__ import annotations

from typing import Any

from twin.sagemaker import listing, tuning_request
from twin.sagemaker.account import Account
from twin.sagemaker.errors import in_use, invalid, not_found
from twin.sagemaker.resource import Request, Resource
from twin.sagemaker.tuning import Trial, TuningJob


class _Row(Resource):
    """A trial as List calls sort and filter it."""

    trial: Trial


def create_hyper_parameter_tuning_job(account: Account, request: Request) -> dict[str, Any]:
    tuning_request.check(account, request)
    warm = request.get("WarmStartConfig") or {}
    named = [item["HyperParameterTuningJobName"] for item in warm.get("ParentHyperParameterTuningJobs") or []]
    job = TuningJob(account, request, [account.tuning_jobs[name] for name in named])
    taken = in_use(
        "Hyper parameter tuning job names must be unique within an AWS account and region, and a hyper parameter "
        f"tuning job with this name already exists ({job.arn})"
    )
    account.put(account.tuning_jobs, job, taken)
    job.launch()
    return {"HyperParameterTuningJobArn": job.arn}


def describe_hyper_parameter_tuning_job(account: Account, request: Request) -> dict[str, Any]:
    return _find(account, request).describe()


def stop_hyper_parameter_tuning_job(account: Account, request: Request) -> dict[str, Any]:
    job = _find(account, request)
    if not job.stop() and job.finished:
        raise invalid(f"The request was rejected because the tuning job is in status {job.status}.")
    return {}


def list_hyper_parameter_tuning_jobs(account: Account, request: Request) -> dict[str, Any]:
    return listing.page(
        "HyperParameterTuningJobSummaries",
        list(account.tuning_jobs.values()),
        _summary,
        request,
        status="HyperParameterTuningJobStatus",
    )


def list_training_jobs_for_hyper_parameter_tuning_job(account: Account, request: Request) -> dict[str, Any]:
    job = _find(account, request)
    rows = []
    for trial in list(job.trials):
        row = _Row(trial.job.name, trial.job.arn, {}, trial.job.created, trial.job.modified)
        row.trial = trial
        rows.append(row)
    worst = float("-inf")
    return listing.page(
        "TrainingJobSummaries",
        rows,
        lambda row: job.summary(row.trial),
        {"SortBy": "Name", **request},
        status="TrainingJobStatus",
        descending=False,
        sorts={"FinalObjectiveMetricValue": lambda row: worst if row.trial.value is None else row.trial.value},
    )


def delete_hyper_parameter_tuning_job(account: Account, request: Request) -> dict[str, Any]:
    job = account.tuning_jobs.get(request["HyperParameterTuningJobName"])
    if job is not None:
        if not job.finished:
            raise in_use(f"The tuning job {job.name} is {job.status}; stop it first.")
        account.tuning_jobs.pop(job.name, None)
    return {}


def _find(account: Account, request: Request) -> TuningJob:
    job = account.tuning_jobs.get(request["HyperParameterTuningJobName"])
    if job is None:
        raise not_found(
            f"Amazon SageMaker can't find a tuning job with the name {request['HyperParameterTuningJobName']}."
        )
    return job


def _summary(job: TuningJob) -> dict[str, Any]:
    described = job.describe()
    shown = (
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobArn",
        "HyperParameterTuningJobStatus",
        "CreationTime",
        "HyperParameterTuningEndTime",
        "LastModifiedTime",
        "TrainingJobStatusCounters",
        "ObjectiveStatusCounters",
    )
    return {
        **{name: described[name] for name in shown},
        "Strategy": job.config["Strategy"],
        "ResourceLimits": job.config["ResourceLimits"],
    }
