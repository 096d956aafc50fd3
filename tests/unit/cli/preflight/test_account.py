"""The account's checks on moto: stack states, names that are taken, ECR, Lake Formation; and calls that are denied."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from cli.costs.stack import read_template
from cli.preflight import account
from cli.preflight.findings import Finding, checked
from cli.target import Target

TEMPLATE = read_template()
VALUES = {name: str(one.get("Default", "")) for name, one in TEMPLATE["Parameters"].items()}


@pytest.fixture
def target(stack: Target) -> Target:
    return stack


def test_the_caller_and_the_region_are_told(target: Target) -> None:
    assert [one.state for one in (*account.check_credentials(target), *account.check_region(target))] == ["fine"] * 2


@pytest.mark.parametrize(
    ("region", "words"), [("moon-1", "moon-1 is not a region of AWS"), ("eu-central-9", "eu-central-9 does not offer")]
)
def test_a_region_without_sagemaker_is_refused(region: str, words: str) -> None:
    target = Target(boto3.Session(region_name=region), "usher", "an account")
    (finding,) = account.check_region(target)
    assert finding.state == "refused"
    assert words in finding.detail


def test_a_new_stack_needs_free_names(target: Target) -> None:
    assert account.find_stack(target) is None
    (finding,) = account.check_stack(target, None)
    assert finding.state == "fine"
    (finding,) = account.check_taken(target, TEMPLATE, VALUES)
    assert finding.detail == "database usher, endpoint usher, repository usher/usher-recommender are free"
    target.client("glue").create_database(DatabaseInput={"Name": "usher"})
    target.client("ecr").create_repository(repositoryName="usher/usher-recommender")
    found = list(account.check_taken(target, TEMPLATE, VALUES))
    assert [(one.state, one.detail) for one in found] == [
        ("refused", "the Glue database usher exists already in this region"),
        ("refused", "the ECR repository usher/usher-recommender exists already in this region"),
    ]
    assert all("give another DatabaseName" in one.remedy for one in found)


def test_a_deployed_stack_is_updated(target: Target) -> None:
    body = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}})
    target.client("cloudformation").create_stack(StackName="usher", TemplateBody=body)
    (finding,) = account.check_stack(target, account.find_stack(target))
    assert (finding.state, finding.detail) == ("fine", "usher is CREATE_COMPLETE: it will be updated")


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("ROLLBACK_COMPLETE", "usher remove usher --account"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name usher"),
        ("UPDATE_IN_PROGRESS", "wait until it has ended"),
    ],
)
def test_a_stack_that_takes_no_update_says_how_to_get_it_out(target: Target, status: str, remedy: str) -> None:
    (finding,) = account.check_stack(target, {"StackStatus": status})
    assert (finding.state, finding.remedy) == ("refused", remedy)


def test_a_repository_without_the_image_is_a_warning(target: Target) -> None:
    repository = account.repository_name(TEMPLATE, VALUES, "usher")
    target.client("ecr").create_repository(repositoryName=repository)
    (finding,) = account.check_image(target, repository)
    assert (finding.state, finding.remedy) == ("warning", "usher image --account --stack-name usher")
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {}, "layers": []})
    target.client("ecr").put_image(repositoryName=repository, imageManifest=manifest, imageTag="latest")
    (finding,) = account.check_image(target, repository)
    assert finding.state == "fine"


def test_lake_formation_with_revoked_defaults_is_told_in_words(target: Target) -> None:
    (finding,) = account.check_lake_formation(target)
    assert finding.state == "fine"
    lake = target.client("lakeformation")
    settings: Any = lake.get_data_lake_settings()["DataLakeSettings"]
    lake.put_data_lake_settings(DataLakeSettings={**settings, "CreateTableDefaultPermissions": []})
    (finding,) = account.check_lake_formation(target)
    assert finding.state == "refused"
    assert "its defaults for a new table no longer grant IAM_ALLOWED_PRINCIPALS" in finding.detail
    assert "aws lakeformation grant-permissions --principal" in finding.remedy
    lake.put_data_lake_settings(
        DataLakeSettings={"CreateDatabaseDefaultPermissions": [], "CreateTableDefaultPermissions": []}
    )
    (finding,) = account.check_lake_formation(target)
    assert "a new database and table" in finding.detail


def test_a_denied_call_is_a_warning_that_names_the_permission(target: Target) -> None:
    with Stubber(target.client("lakeformation")) as stub:
        stub.add_client_error("get_data_lake_settings", "AccessDeniedException", "no")
        (finding,) = checked("Lake Formation", lambda: account.check_lake_formation(target), "lakeformation:Get")
    assert finding == Finding(
        "Lake Formation",
        "warning",
        "could not be checked: access denied to GetDataLakeSettings: no",
        "allow lakeformation:Get to check it",
    )


def test_a_fault_that_is_no_absence_is_not_taken_for_one(target: Target) -> None:
    with Stubber(target.client("glue")) as stub, pytest.raises(ClientError):
        stub.add_client_error("get_database", "AccessDeniedException")
        list(account.check_taken(target, TEMPLATE, VALUES))
