"""Training jobs on the twin: the program really runs, and ends as AWS says. Failure paths first."""

from __future__ import annotations

import datetime
import json
import time
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from twin.sagemaker import write_protection
from twin.sagemaker.job import INSTANCES

Lab = Any

GROUP = "/aws/sagemaker/TrainingJobs"


def _refusal(lab: Lab, request: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        lab.sagemaker.create_training_job(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TrainingJobName": "no_underscores"}, "'trainingJobName' failed to satisfy constraint: Member must satisfy"),
        ({"TrainingJobName": "a" * 64}, "Member must have length less than or equal to 63"),
        ({"RoleArn": "arn:aws:iam::123456789012:user/me-myself"}, "'roleArn'"),
        ({"ResourceConfig": {"InstanceType": "ml.huge", "InstanceCount": 1, "VolumeSizeInGB": 1}}, "enum value set"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}}, "one instance"),
        ({"OutputDataConfig": {"S3OutputPath": "https://lake/models"}}, "must begin with s3://"),
        ({"EnableManagedSpotTraining": True}, "does not support spot instances"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 2}}, "MaxWaitTimeInSeconds may only"),
        ({"CheckpointConfig": {"S3Uri": "s3://lake/c"}}, "does not support checkpoints"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://lake/models", "CompressionType": "NONE"}}, "use GZIP"),
    ],
)
def test_what_aws_refuses_is_refused(lab: Lab, changes: dict[str, Any], said: str) -> None:
    code, message = _refusal(lab, {**lab.training("job"), **changes})
    assert code == "ValidationException"
    assert said in message


def test_a_hyperparameter_that_is_no_string_is_refused_by_the_service(lab: Lab) -> None:
    unchecked = boto3.client("sagemaker", config=Config(parameter_validation=False))  # boto3 itself would refuse it too
    with pytest.raises(ClientError) as caught:
        unchecked.create_training_job(**lab.training("job", {"epochs": 3}))
    assert caught.value.response["Error"]["Code"] == "SerializationException"


def test_a_job_name_is_never_free_again(lab: Lab) -> None:
    lab.train("job")
    code, message = _refusal(lab, lab.training("job"))
    assert code == "ResourceInUse"
    assert "already exists (arn:aws:sagemaker:eu-west-1:123456789012:training-job/job)" in message


def test_a_regex_that_captures_nothing_is_refused(lab: Lab) -> None:
    request = lab.training("job")
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "score", "Regex": "score=.*"}]
    assert "has no group" in _refusal(lab, request)[1]


def test_a_job_that_is_not_there_is_not_found(lab: Lab) -> None:
    with pytest.raises(ClientError, match="Requested resource not found"):
        lab.sagemaker.describe_training_job(TrainingJobName="unknown")


# ── what fails ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failing_program_leaves_its_reason(lab: Lab) -> None:
    job = lab.train("job", {"failure": "user 42 rated nothing"})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == "AlgorithmError: user 42 rated nothing, exit code: 1"
    assert "ModelArtifacts" not in job or "S3ModelArtifacts" not in job["ModelArtifacts"]
    assert lab.client("s3").list_objects_v2(Bucket=lab.bucket)["KeyCount"] == 0


@pytest.mark.parametrize("path", ["input/data/train/1.csv", "input/data/train/new", "input/config/new", "new"])
def test_a_program_cannot_write_what_sagemaker_mounts_read_only(lab: Lab, path: str) -> None:
    lab.put("train/1.csv", "1,2\n")
    job = lab.train("job", {"write": path}, InputDataConfig=[_channel("train", f"s3://{lab.bucket}/train/")])
    assert job["TrainingJobStatus"] == "Failed"
    assert any("PermissionError" in line for line in lab.messages(GROUP))


def test_where_nothing_prevents_it_a_write_into_a_channel_fails_the_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_protection, "available", lambda: False)
    lab.put("train/1.csv", "1,2\n")
    channel = _channel("train", f"s3://{lab.bucket}/train/")
    job = lab.train("job", {"write": "input/data/train/1.csv"}, InputDataConfig=[channel])
    assert "changed /opt/ml/input/data/train/1.csv, which SageMaker mounts read-only" in job["FailureReason"]
    assert lab.train("other", {"output": "kept"}, InputDataConfig=[channel])["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize("path", ["model/a", "output/a", "output/data/a", "checkpoints/a", "tmp/a"])
def test_a_program_may_write_its_model_output_checkpoints_and_tmp(lab: Lab, path: str) -> None:
    assert lab.train("job", {"write": path})["TrainingJobStatus"] == "Completed"


def test_a_killed_program_fails_with_the_exit_code_of_its_signal(lab: Lab) -> None:
    assert lab.train("job", {"kill": "9"})["FailureReason"] == "AlgorithmError: , exit code: 137"


def test_an_unknown_image_cannot_be_pulled(lab: Lab) -> None:
    request = lab.training("job")
    request["AlgorithmSpecification"]["TrainingImage"] = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/other:1"
    lab.sagemaker.create_training_job(**request)
    assert "ClientError: Cannot pull algorithm container" in lab.trained("job")["FailureReason"]


def test_an_empty_channel_fails_the_job(lab: Lab) -> None:
    channel = _channel("train", f"s3://{lab.bucket}/nothing/")
    job = lab.train("job", InputDataConfig=[channel])
    assert job["FailureReason"].startswith("ClientError: Data download failed: No S3 objects found under S3 URL")


def test_a_bucket_that_is_not_there_fails_the_job(lab: Lab) -> None:
    job = lab.train("job", InputDataConfig=[_channel("train", "s3://elsewhere/train/")])
    assert job["TrainingJobStatus"] == "Failed"
    assert "elsewhere" in job["FailureReason"]


def test_a_job_past_its_limit_is_stopped_and_keeps_what_it_has(lab: Lab) -> None:
    job = lab.train("job", {"epochs": "100", "pause": "0.5"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert lab.unpacked(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"stopped.txt": b"in time"}


def test_a_stopped_job_may_write_its_model_first(lab: Lab) -> None:
    lab.sagemaker.create_training_job(**lab.training("job", {"epochs": "100", "pause": "0.5"}))
    lab.eventually(lambda: _described(lab)["SecondaryStatus"] == "Training")
    lab.eventually(lambda: _described(lab).get("FinalMetricDataList"))
    lab.sagemaker.stop_training_job(TrainingJobName="job")
    assert _described(lab)["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = lab.trained("job")
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]][-2:] == ["Stopping", "Stopped"]
    assert lab.unpacked(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"stopped.txt": b"in time"}
    with pytest.raises(ClientError, match="in status Stopped"):
        lab.sagemaker.stop_training_job(TrainingJobName="job")


# ── what works ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_training_job_runs_the_program_and_keeps_its_model(lab: Lab) -> None:
    lab.put("train/part-0.csv", "1")
    lab.put("train/deep/part-1.csv", "2")
    lab.put("items.csv", "3")
    channels = [_channel("train", f"s3://{lab.bucket}/train"), _channel("items", f"s3://{lab.bucket}/items.csv")]
    asked = {"epochs": "2", "x": "0.5", "output": "more"}
    job = lab.train("job", asked, InputDataConfig=channels, Environment={"COLOUR": "blue"})
    assert job["TrainingJobStatus"] == "Completed"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{lab.bucket}/models/job/output/model.tar.gz"
    model = json.loads(lab.unpacked(job["ModelArtifacts"]["S3ModelArtifacts"])["model.json"])
    assert model == {
        "hyperparameters": asked,
        "files": ["items/items.csv", "train/deep/part-1.csv", "train/part-0.csv"],
        "environment": {"TRAINING_JOB_NAME": "job", "COLOUR": "blue", "PYTEST_CURRENT_TEST": None},
    }
    assert lab.unpacked(f"s3://{lab.bucket}/models/job/output/output.tar.gz") == {"extra.txt": b"more"}


def test_a_job_is_described_with_times_states_and_last_metrics(lab: Lab) -> None:
    job = lab.train("job", {"epochs": "2", "x": "0.5"})
    steps = [item["Status"] for item in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(item["EndTime"] >= item["StartTime"] for item in job["SecondaryStatusTransitions"])
    (metric,) = job["FinalMetricDataList"]
    assert (metric["MetricName"], round(metric["Value"], 6)) == ("score", 0.96)  # a loss of nan is no metric
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1
    now = datetime.datetime.now(datetime.UTC)
    assert abs(now - job["CreationTime"]) < datetime.timedelta(minutes=2)
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] <= now
    assert job["HyperParameters"] == {"epochs": "2", "x": "0.5"}


def test_what_the_program_prints_is_logged(lab: Lab) -> None:
    lab.train("job", {"epochs": "2"})
    assert [line for line in lab.messages(GROUP) if "epoch" in line] == [
        "epoch 0: validation:score=0.910000 loss=nan",
        "epoch 1: validation:score=0.910000 loss=nan",
    ]
    (stream,) = lab.client("logs").describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert stream["logStreamName"].startswith("job/algo-1-")


def test_metrics_go_to_cloudwatch_where_the_sdk_reads_them(lab: Lab) -> None:
    lab.train("job", {"epochs": "3", "x": "0.3"})
    found = lab.client("cloudwatch").get_metric_statistics(
        Namespace=GROUP,
        MetricName="score",
        Dimensions=[{"Name": "TrainingJobName", "Value": "job"}],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 3600,
        Period=7200,
        Statistics=["SampleCount", "Maximum"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in found) == 3
    assert max(point["Maximum"] for point in found) == 1.0


def test_jobs_are_listed_filtered_and_paged(lab: Lab) -> None:
    for number in range(3):
        lab.train(f"job-{number}", {"failure": "no"} if number == 1 else {})
    names = [job["TrainingJobName"] for job in lab.sagemaker.list_training_jobs()["TrainingJobSummaries"]]
    assert names == ["job-2", "job-1", "job-0"]
    (failed,) = lab.sagemaker.list_training_jobs(StatusEquals="Failed")["TrainingJobSummaries"]
    assert failed["TrainingJobName"] == "job-1"
    pages = lab.sagemaker.get_paginator("list_training_jobs").paginate(
        SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["TrainingJobSummaries"]) for page in pages] == [2, 1]
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    assert lab.sagemaker.list_training_jobs(CreationTimeAfter=tomorrow)["TrainingJobSummaries"] == []


def test_jobs_wait_for_a_free_instance_and_may_be_stopped_meanwhile(lab: Lab) -> None:
    long = {"epochs": "200", "pause": "0.5"}
    names = [f"job-{number}" for number in range(INSTANCES + 1)]
    for name in names:
        lab.sagemaker.create_training_job(**lab.training(name, long))

    def secondary() -> list[str]:
        describe = lab.sagemaker.describe_training_job
        return sorted(describe(TrainingJobName=name)["SecondaryStatus"] for name in names)

    lab.eventually(lambda: secondary() == ["Starting", *["Training"] * INSTANCES], seconds=60)
    (waiting,) = (
        name
        for name in names
        if lab.sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Starting"
    )
    lab.sagemaker.stop_training_job(TrainingJobName=waiting)
    job = lab.trained(waiting)
    assert job["TrainingJobStatus"] == "Stopped"
    assert "TrainingTimeInSeconds" not in job


def test_equal_models_are_equal_byte_for_byte(lab: Lab) -> None:
    for name in ("one", "two"):
        lab.train(name, Environment={"TRAINING_JOB_NAME": "ignored"})
    one, two = (lab.unpacked(f"s3://{lab.bucket}/models/{name}/output/model.tar.gz") for name in ("one", "two"))
    assert one["model.json"].replace(b"one", b"two") == two["model.json"]


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _described(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.sagemaker.describe_training_job(TrainingJobName="job")
    return found
