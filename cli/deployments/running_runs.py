"""Stops the runs of a stack that is about to be removed: executions, their SageMaker jobs, and the lock."""

from __future__ import annotations

import re
import time
from typing import Any

from cli.deployments.inventory import Inventory
from cli.target import Target

#: How long jobs and the end of a run are waited for; the removal goes on after it.
_WAIT_SECONDS = 120.0
_RUN_ID = re.compile(r"r[a-z2-7]{10}-\d+")


def stop(target: Target, found: Inventory) -> list[str]:
    """Stop the running executions and what they have started; their names.

    The jobs are stopped here too: Step Functions stops them with the workflow's role, which is deleted with the stack,
    and a job that goes on costs money.
    """
    names = []
    for execution in found.executions:
        target.client("stepfunctions").stop_execution(executionArn=execution, cause="the stack is removed")
        names.append(execution.rpartition(":")[2])
    end = time.monotonic() + _WAIT_SECONDS
    runs = [name for name in names if _RUN_ID.fullmatch(name)]  # a tick's execution has another name, and no jobs
    while runs and time.monotonic() < end:
        busy = [run for run in runs if _stop_jobs(target.client("sagemaker"), run)]
        if not busy and not (found.table and _lock_is_held(target, found.table.name)):
            break
        time.sleep(0.2 if target.endpoint else 3.0)
    return names


def _stop_jobs(sagemaker: Any, run_id: str) -> bool:
    """Stop the jobs of a run that are in progress; whether any has not ended yet."""
    tuning = sagemaker.list_hyper_parameter_tuning_jobs(NameContains=run_id)["HyperParameterTuningJobSummaries"]
    for one in tuning:
        if one["HyperParameterTuningJobStatus"] == "InProgress":
            sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=one["HyperParameterTuningJobName"])
    training = sagemaker.list_training_jobs(NameContains=run_id)["TrainingJobSummaries"]
    for one in training:
        if one["TrainingJobStatus"] == "InProgress":
            sagemaker.stop_training_job(TrainingJobName=one["TrainingJobName"])
    processing = sagemaker.list_processing_jobs(NameContains=run_id)["ProcessingJobSummaries"]
    for one in processing:
        if one["ProcessingJobStatus"] == "InProgress":
            sagemaker.stop_processing_job(ProcessingJobName=one["ProcessingJobName"])
    statuses = {one["HyperParameterTuningJobStatus"] for one in tuning} | {one["TrainingJobStatus"] for one in training}
    statuses |= {one["ProcessingJobStatus"] for one in processing}
    return bool(statuses & {"InProgress", "Stopping"})


def _lock_is_held(target: Target, table: str) -> bool:
    """Whether prepare_next has not processed the end of the run yet."""
    from usher.store.run_lock import RunLock  # noqa: PLC0415 - imports botocore

    return RunLock(target.dynamodb().Table(table)).holder(int(time.time())) is not None
