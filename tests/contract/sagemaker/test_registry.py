"""The model registry on the twin: versions, approval, and what serves from a package. Failure paths first."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

Lab = Any


def _group(lab: Lab) -> str:
    arn: str = lab.sagemaker.create_model_package_group(ModelPackageGroupName="usher")["ModelPackageGroupArn"]
    return arn


def _package(lab: Lab, **changes: Any) -> str:
    url = lab.put("bundle/model.tar.gz", b"x")
    request = {
        "ModelPackageGroupName": "usher",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [{"Image": lab.image, "ModelDataUrl": url}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "CustomerMetadataProperties": {"run": "r1"},
        **changes,
    }
    arn: str = lab.sagemaker.create_model_package(**request)["ModelPackageArn"]
    return arn


def test_a_package_needs_its_group(lab: Lab) -> None:
    with pytest.raises(ClientError, match="Model Package Group usher does not exist"):
        _package(lab)
    _group(lab)
    with pytest.raises(ClientError, match="already exists"):
        _group(lab)
    with pytest.raises(ClientError, match="'modelApprovalStatus' failed to satisfy constraint"):
        _package(lab, ModelApprovalStatus="Perhaps")


def test_a_group_with_packages_is_not_deleted(lab: Lab) -> None:
    _group(lab)
    arn = _package(lab)
    with pytest.raises(ClientError, match="not empty"):
        lab.sagemaker.delete_model_package_group(ModelPackageGroupName="usher")
    lab.sagemaker.delete_model_package(ModelPackageName=arn)
    lab.sagemaker.delete_model_package_group(ModelPackageGroupName="usher")
    with pytest.raises(ClientError, match="does not exist"):
        lab.sagemaker.describe_model_package(ModelPackageName=arn)


def test_versions_count_on_and_updates_change_only_what_they_name(lab: Lab) -> None:
    _group(lab)
    first, second = _package(lab), _package(lab)
    assert second == "arn:aws:sagemaker:eu-west-1:123456789012:model-package/usher/2"
    lab.sagemaker.delete_model_package(ModelPackageName=second)
    assert _package(lab).endswith("/3")
    update = lab.sagemaker.update_model_package
    update(ModelPackageArn=first, ModelApprovalStatus="Approved", ApprovalDescription="passed the gate")
    with pytest.raises(ClientError, match="does not support UpdateModelPackage with CustomerMetadataProperties"):
        update(ModelPackageArn=first, CustomerMetadataProperties={"variant": "B"})
    described = lab.sagemaker.describe_model_package(ModelPackageName=first)
    assert (described["ModelApprovalStatus"], described["ApprovalDescription"]) == ("Approved", "passed the gate")
    assert described["CustomerMetadataProperties"] == {"run": "r1"}
    assert (described["ModelPackageVersion"], described["ModelPackageStatus"]) == (1, "Completed")
    found = lab.sagemaker.list_model_packages(ModelPackageGroupName="usher", ModelApprovalStatus="Approved")
    assert [item["ModelPackageArn"] for item in found["ModelPackageSummaryList"]] == [first]
    listed = lab.sagemaker.list_model_packages(ModelPackageGroupName="usher")["ModelPackageSummaryList"]
    assert [item["ModelPackageVersion"] for item in listed] == [3, 1]
