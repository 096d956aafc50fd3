"""Processing jobs on the twin: the image's programs between S3 and S3. Failure paths first."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

Lab = Any

SOURCE, TARGET = "/opt/ml/processing/input", "/opt/ml/processing/output"


def _request(lab: Lab, arguments: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    source = {"S3Uri": f"s3://{lab.bucket}/raw/", "LocalPath": SOURCE, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    target = {"S3Uri": f"s3://{lab.bucket}/prepared", "LocalPath": TARGET, "S3UploadMode": "EndOfJob"}
    return {
        "ProcessingJobName": "job",
        "RoleArn": lab.role,
        "AppSpecification": {
            "ImageUri": lab.image,
            "ContainerEntrypoint": ["prepare"],
            "ContainerArguments": arguments or [SOURCE, TARGET],
        },
        "ProcessingResources": {"ClusterConfig": lab.resources},
        "ProcessingInputs": [{"InputName": "raw", "S3Input": source}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "prepared", "S3Output": target}]},
        **changes,
    }


def _process(lab: Lab, **changes: Any) -> dict[str, Any]:
    lab.sagemaker.create_processing_job(**_request(lab, **changes))
    return _ended(lab)


def _ended(lab: Lab) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = lab.sagemaker.describe_processing_job(ProcessingJobName="job")
        return found if found["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    found: dict[str, Any] = lab.eventually(ended, seconds=60)
    return found


@pytest.mark.parametrize("path", ["/tmp/raw", "/opt/ml/processing/../../etc", "/opt/ml/input"])  # noqa: S108
def test_a_path_outside_of_processing_is_refused(lab: Lab, path: str) -> None:
    request = _request(lab)
    request["ProcessingInputs"][0]["S3Input"]["LocalPath"] = path
    with pytest.raises(ClientError, match="LocalPath must begin with /opt/ml/processing/"):
        lab.sagemaker.create_processing_job(**request)


def test_what_aws_refuses_is_refused(lab: Lab) -> None:
    create = lab.sagemaker.create_processing_job
    twice = _request(lab)["ProcessingInputs"] * 2
    with pytest.raises(ClientError, match="Names must be unique within ProcessingInputs"):
        create(**_request(lab, ProcessingInputs=twice))
    with pytest.raises(ClientError, match="regular expression pattern"):
        create(**_request(lab, ProcessingJobName="a_b"))
    with pytest.raises(ClientError, match="enum value set"):
        create(**_request(lab, ProcessingResources={"ClusterConfig": {**lab.resources, "InstanceType": "ml.huge"}}))
    with pytest.raises(ClientError, match="more than one instance"):
        create(**_request(lab, ProcessingResources={"ClusterConfig": {**lab.resources, "InstanceCount": 2}}))
    with pytest.raises(ClientError, match="Could not find requested job with name: unknown"):
        lab.sagemaker.describe_processing_job(ProcessingJobName="unknown")


def test_a_program_cannot_write_into_its_input(lab: Lab) -> None:
    lab.put("raw/1.csv", "a\n")
    specification = _request(lab, arguments=[SOURCE, SOURCE])["AppSpecification"]
    assert _process(lab, AppSpecification=specification)["ProcessingJobStatus"] == "Failed"
    assert any("PermissionError" in line for line in lab.messages("/aws/sagemaker/ProcessingJobs"))


def test_a_failing_program_leaves_its_message(lab: Lab) -> None:
    lab.put("raw/a.csv", "x")
    job = _process(lab, arguments=[SOURCE, TARGET, "column rating is missing"])
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["ExitMessage"] == "column rating is missing"
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information, exit code: 3"
    assert lab.client("s3").list_objects_v2(Bucket=lab.bucket, Prefix="prepared")["KeyCount"] == 0


def test_an_input_without_objects_fails_the_job(lab: Lab) -> None:
    assert "No S3 objects found under s3://lake/raw/ of input raw" in _process(lab)["FailureReason"]


def test_an_unknown_image_or_program_fails_the_job(lab: Lab) -> None:
    lab.put("raw/a.csv", "x")
    specification = {"ImageUri": lab.image, "ContainerEntrypoint": ["bash", "-c", "true"]}
    job = _process(lab, AppSpecification=specification)
    assert "'bash': executable file not found in $PATH, exit code: 127" in job["FailureReason"]
    lab.sagemaker.create_processing_job(
        **_request(lab, ProcessingJobName="other", AppSpecification={"ImageUri": "somewhere/else:1"})
    )
    describe = lab.sagemaker.describe_processing_job
    lab.eventually(lambda: "Cannot pull" in describe(ProcessingJobName="other").get("FailureReason", ""))


def test_a_job_past_its_limit_fails_and_a_stopped_one_is_stopped(lab: Lab) -> None:
    lab.put("raw/a.csv", "x")
    arguments = [SOURCE, TARGET, "message", "60"]
    job = _process(lab, arguments=arguments, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["ProcessingJobStatus"], "larger MaxRuntimeInSeconds" in job["FailureReason"]) == ("Failed", True)
    lab.sagemaker.create_processing_job(**_request(lab, arguments, ProcessingJobName="next"))
    describe = lab.sagemaker.describe_processing_job
    lab.eventually(lambda: describe(ProcessingJobName="next").get("ProcessingStartTime"))
    lab.sagemaker.stop_processing_job(ProcessingJobName="next")
    lab.eventually(lambda: describe(ProcessingJobName="next")["ProcessingJobStatus"] == "Stopped")
    with pytest.raises(ClientError, match="in status Stopped"):
        lab.sagemaker.stop_processing_job(ProcessingJobName="next")


def test_a_processing_job_takes_inputs_and_leaves_outputs(lab: Lab) -> None:
    lab.put("raw/a.csv", "text")
    job = _process(lab, Environment={"COLOUR": "green"})
    assert job["ProcessingJobStatus"] == "Completed"
    assert lab.get("prepared/a.csv") == b"TEXT"
    assert "prepared green" in lab.messages("/aws/sagemaker/ProcessingJobs")
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert "ExitMessage" not in job
    with pytest.raises(ClientError) as caught:
        lab.sagemaker.create_processing_job(**_request(lab))
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    (listed,) = lab.sagemaker.list_processing_jobs(NameContains="jo")["ProcessingJobSummaries"]
    assert listed["ProcessingJobStatus"] == "Completed"
