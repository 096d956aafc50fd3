"""The recommender's own image in the twin's jobs: what it refuses arrives as SageMaker's users see it."""

from __future__ import annotations

from typing import Any

import pytest

Lab = Any

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/usher-recommender:latest"


def _trained(lab: Lab, hyperparameters: dict[str, str]) -> dict[str, Any]:
    lab.put("train/ratings.parquet", "not Parquet")
    request = lab.training("job", hyperparameters)
    request["AlgorithmSpecification"]["TrainingImage"] = IMAGE
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{lab.bucket}/train/"}
    request["InputDataConfig"] = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    lab.sagemaker.create_training_job(**request)
    found: dict[str, Any] = lab.trained("job")
    return found


@pytest.mark.parametrize(
    ("hyperparameters", "said"),
    [
        ({}, "the hyperparameter algorithm is missing"),
        ({"algorithm": "knn", "index_metrics": "COSINE"}, "index_metric"),
        ({"algorithm": "knn", "_tuning_objective_metric": "ndcg"}, "ratings.parquet"),
    ],
)
def test_what_train_refuses_is_the_jobs_failure_reason(lab: Lab, hyperparameters: dict[str, str], said: str) -> None:
    job = _trained(lab, hyperparameters)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: train: ")
    assert said in job["FailureReason"]
    assert job["FailureReason"].endswith(", exit code: 1")


def test_what_prepare_refuses_is_the_jobs_exit_message(lab: Lab) -> None:
    target = {
        "S3Uri": f"s3://{lab.bucket}/prepared",
        "LocalPath": "/opt/ml/processing/output/prepared",
        "S3UploadMode": "EndOfJob",
    }
    lab.sagemaker.create_processing_job(
        ProcessingJobName="job",
        RoleArn=lab.role,
        AppSpecification={
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python", "-m", "usher_models"],
            "ContainerArguments": ["prepare"],
        },
        ProcessingResources={"ClusterConfig": lab.resources},
        ProcessingOutputConfig={"Outputs": [{"OutputName": "prepared", "S3Output": target}]},
    )
    describe = lab.sagemaker.describe_processing_job
    lab.eventually(lambda: describe(ProcessingJobName="job")["ProcessingJobStatus"] == "Failed", seconds=60)
    job = describe(ProcessingJobName="job")
    assert job["ExitMessage"].startswith("prepare: the snapshot has no ratings, purchases or clicks")
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information, exit code: 1"
