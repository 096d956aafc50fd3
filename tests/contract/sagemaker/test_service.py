"""SageMaker as a part of the twin: its processes end with it, its events go out."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from botocore.exceptions import ClientError

from twin import context
from twin.sagemaker.account import SageMaker, used_accounts
from twin.sagemaker.training import TrainingJob

Lab = Any


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _busy(lab: Lab) -> list[int]:
    """The processes of an endpoint, and of a training job that would run for a minute."""
    lab.model("m")
    lab.deploy(A=("m", 1), B=("m", 0))
    lab.sagemaker.create_training_job(**lab.training("job", {"epochs": "120", "pause": "0.5"}))
    describe = lab.sagemaker.describe_training_job
    lab.eventually(lambda: describe(TrainingJobName="job").get("FinalMetricDataList"), seconds=60)
    (account,) = [item for item in used_accounts() if item.all(TrainingJob)]
    training = account.all(TrainingJob)["job"].process_id
    return [training, *(lab.call(TargetVariant=name)[0]["pid"] for name in "AB")]


def test_a_reset_ends_the_processes_of_jobs_and_endpoints(lab: Lab) -> None:
    pids = _busy(lab)
    from moto.moto_api._internal.models import moto_api_backend  # noqa: PLC0415 - as in conftest.py

    moto_api_backend.reset()
    assert all(_gone(pid) for pid in pids)
    assert lab.sagemaker.list_endpoints()["Endpoints"] == []
    assert lab.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_stopping_the_twin_ends_the_processes_and_starts_no_more(lab: Lab) -> None:
    pids = _busy(lab)
    SageMaker(context.current()).stop()
    assert all(_gone(pid) for pid in pids)
    with pytest.raises(ClientError, match="The twin is ending"):
        lab.sagemaker.create_training_job(**lab.training("late"))


def test_an_endpoint_that_is_still_starting_ends_too(lab: Lab) -> None:
    lab.model("slow", {"ping": 503})
    lab.config("first", A=("slow", 1))
    lab.sagemaker.create_endpoint(EndpointName="shop", EndpointConfigName="first")
    lab.eventually(lambda: lab.client("logs").describe_log_groups()["logGroups"])
    SageMaker(context.current()).stop()
    assert lab.sagemaker.describe_endpoint(EndpointName="shop")["EndpointStatus"] == "Failed"


def test_changes_of_status_are_events(lab: Lab) -> None:
    arn = "arn:aws:sqs:eu-west-1:123456789012:events"
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    queue = lab.client("sqs").create_queue(QueueName="events", Attributes={"Policy": policy})["QueueUrl"]
    events = lab.client("events")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "1", "Arn": arn}])
    lab.train("job", {"failure": "no"})
    lab.model("m")
    lab.deploy(A=("m", 1))
    found: list[dict[str, Any]] = []

    def arrived() -> bool:
        answer = lab.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        found.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return any(event["detail"].get("EndpointStatus") == "IN_SERVICE" for event in found)

    lab.eventually(arrived)
    jobs = [event for event in found if event["detail-type"] == "SageMaker Training Job State Change"]
    assert {event["detail"]["TrainingJobStatus"] for event in jobs} == {"InProgress", "Failed"}
    (failed,) = [event for event in jobs if event["detail"]["TrainingJobStatus"] == "Failed"]
    assert failed["resources"] == ["arn:aws:sagemaker:eu-west-1:123456789012:training-job/job"]
    assert failed["detail"]["FailureReason"] == "AlgorithmError: no, exit code: 1"
    assert failed["detail"]["CreationTime"] > 1_600_000_000_000  # milliseconds
    endpoints = [event for event in found if event["detail-type"] == "SageMaker Endpoint State Change"]
    assert {event["detail"]["EndpointStatus"] for event in endpoints} == {"CREATING", "IN_SERVICE"}


def test_work_that_the_twin_does_not_do_is_refused(lab: Lab) -> None:
    source = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{lab.bucket}/in"}}}
    with pytest.raises(ClientError, match="does not support batch transform"):
        lab.sagemaker.create_transform_job(
            TransformJobName="job",
            ModelName="m",
            TransformInput=source,
            TransformOutput={"S3OutputPath": f"s3://{lab.bucket}/out"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )


def test_moto_answers_the_other_calls(lab: Lab) -> None:
    assert lab.sagemaker.list_notebook_instances()["NotebookInstances"] == []
