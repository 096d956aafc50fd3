"""The API calls about training and processing jobs."""

from __future__ import annotations

from typing import Any

from twin.sagemaker import listing, processing, training_request
from twin.sagemaker.account import Account
from twin.sagemaker.errors import in_use, invalid, not_found
from twin.sagemaker.processing import ProcessingJob
from twin.sagemaker.resource import Request
from twin.sagemaker.training import TrainingJob


def create_training_job(account: Account, request: Request) -> dict[str, Any]:
    training_request.check(request)
    return {"TrainingJobArn": launch_training(account, request).arn}


def launch_training(account: Account, request: Request, tuning: str | None = None) -> TrainingJob:
    """Start a training job that was checked; Refused when its name is taken."""
    job = TrainingJob(account, request, tuning)
    taken = in_use(
        "Training job names must be unique within an AWS account and region, and a training job with this name "
        f"already exists ({job.arn})"
    )
    account.put(account.training_jobs, job, taken)
    job.launch()
    return job


def describe_training_job(account: Account, request: Request) -> dict[str, Any]:
    return _training(account, request).describe()


def stop_training_job(account: Account, request: Request) -> dict[str, Any]:
    job = _training(account, request)
    if not job.stop() and job.finished:
        raise invalid(f"The request was rejected because the training job is in status {job.status}.")
    return {}


def list_training_jobs(account: Account, request: Request) -> dict[str, Any]:
    jobs = list(account.training_jobs.values())
    return listing.page("TrainingJobSummaries", jobs, _training_summary, request, status="TrainingJobStatus")


def create_processing_job(account: Account, request: Request) -> dict[str, Any]:
    processing.check(request)
    job = ProcessingJob(account, request)
    taken = in_use(
        f"Job name must be unique within an AWS account and region, and a job with this name already exists ({job.arn})"
    )
    account.put(account.processing_jobs, job, taken)
    job.launch()
    return {"ProcessingJobArn": job.arn}


def describe_processing_job(account: Account, request: Request) -> dict[str, Any]:
    return _processing(account, request).describe()


def stop_processing_job(account: Account, request: Request) -> dict[str, Any]:
    job = _processing(account, request)
    if not job.stop() and job.finished:
        raise invalid(f"The request was rejected because the processing job is in status {job.status}.")
    return {}


def list_processing_jobs(account: Account, request: Request) -> dict[str, Any]:
    jobs = list(account.processing_jobs.values())
    return listing.page("ProcessingJobSummaries", jobs, _processing_summary, request, status="ProcessingJobStatus")


def _training(account: Account, request: Request) -> TrainingJob:
    job = account.training_jobs.get(request["TrainingJobName"])
    if job is None:
        raise invalid("Requested resource not found.")
    return job


def _processing(account: Account, request: Request) -> ProcessingJob:
    job = account.processing_jobs.get(request["ProcessingJobName"])
    if job is None:
        raise not_found(f"Could not find requested job with name: {request['ProcessingJobName']}")
    return job


def _training_summary(job: TrainingJob) -> dict[str, Any]:
    shown = ("TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime", "TrainingJobStatus")
    described = job.describe()
    return {"TrainingJobName": job.name, **{name: described[name] for name in (*shown, "SecondaryStatus")}}


def _processing_summary(job: ProcessingJob) -> dict[str, Any]:
    shown = ("ProcessingJobArn", "CreationTime", "ProcessingEndTime", "LastModifiedTime", "ProcessingJobStatus")
    described = job.describe()
    details = {name: described[name] for name in (*shown, "FailureReason", "ExitMessage")}
    return {"ProcessingJobName": job.name, **details}
