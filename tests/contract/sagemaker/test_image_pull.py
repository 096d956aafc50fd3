"""Images on the twin: what ECR holds can be pulled by tag and digest, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from twin.sagemaker import image_pull

Lab = Any

REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.fixture
def digest(lab: Lab) -> str:
    lab.client("ecr").create_repository(repositoryName="program")
    return image_pull.push("program", tag="1")


def test_another_content_is_another_image_under_the_same_tag(lab: Lab, digest: str) -> None:
    other = image_pull.push("program", tag="1", content="other")
    assert other != digest
    (found,) = lab.client("ecr").batch_get_image(repositoryName="program", imageIds=[{"imageTag": "1"}])["images"]
    assert found["imageId"]["imageDigest"] == other


def test_a_repository_without_a_program_gets_no_image(lab: Lab) -> None:
    assert image_pull.push("something-else") == ""


@pytest.mark.parametrize("reference", [":2", "", f"@sha256:{'0' * 64}"])
def test_a_job_cannot_pull_what_ecr_does_not_hold(lab: Lab, digest: str, reference: str) -> None:
    request = lab.training("job")
    request["AlgorithmSpecification"]["TrainingImage"] = f"{REGISTRY}/program{reference}"
    lab.sagemaker.create_training_job(**request)
    assert "ClientError: Cannot pull algorithm container" in lab.trained("job")["FailureReason"]
    with pytest.raises(ClientError, match="not found"):
        lab.sagemaker.create_model(
            ModelName="m", ExecutionRoleArn=lab.role, PrimaryContainer={"Image": f"{REGISTRY}/program{reference}"}
        )


@pytest.mark.parametrize("by_digest", [False, True])
def test_a_job_runs_with_a_tag_or_a_digest(lab: Lab, digest: str, by_digest: bool) -> None:
    request = lab.training("job")
    request["AlgorithmSpecification"]["TrainingImage"] = f"{REGISTRY}/program" + (f"@{digest}" if by_digest else ":1")
    lab.sagemaker.create_training_job(**request)
    assert lab.trained("job")["TrainingJobStatus"] == "Completed"
