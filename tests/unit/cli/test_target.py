"""Which Usher a command talks to, and what it says when there is none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from moto import mock_aws
from moto.server import ThreadedMotoServer

from cli import target as targets
from cli.agent.bootstrap import client as agent_client
from cli.errors import CommandError, explain
from cli.target import Choice, Resources, Target, find

OUTPUTS = {
    "LandingBucket": "landing",
    "LakeBucket": "lake",
    "Database": "usher",
    "StateTable": "state",
    "Workgroup": "usher",
    "IngestQueueUrl": "https://queue",
    "SomethingNew": "is ignored",
}


@dataclass(frozen=True)
class Running:
    """What twin.lifecycle says of a running twin."""

    endpoint: str = "http://127.0.0.1:5555"
    region: str = "eu-west-1"
    stack_name: str = "mine"
    environment: dict[str, str] = field(
        default_factory=lambda: {"AWS_ACCESS_KEY_ID": "usher-twin", "AWS_SECRET_ACCESS_KEY": "usher-twin"}
    )


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No twin, no credentials, no configuration."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "USHER_STACK_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(targets, "_running_twin", lambda _: None)


def test_without_a_twin_nobody_reaches_an_account_that_was_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with pytest.raises(CommandError, match=r"usher twin up.*--account or --profile"):
        find(Choice(), environ={})


def test_an_account_without_a_region_is_told_of_the_region() -> None:
    with pytest.raises(NoRegionError) as caught:
        find(Choice(account=True), environ={})
    assert "--region" in str(explain(caught.value))


def test_an_account_without_credentials_is_told_to_log_in() -> None:
    with pytest.raises(NoCredentialsError) as caught:
        find(Choice(account=True, region="eu-west-1"), environ={})
    assert "log in" in str(explain(caught.value))


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(Exception, match="nobody") as caught:
        find(Choice(profile="nobody"), environ={})
    assert "list-profiles" in str(explain(caught.value))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExpiredToken", "expired: log in again"),
        ("InvalidClientTokenId", "AWS rejected the credentials"),
        ("AccessDenied", "access denied to PutObject: no s3:PutObject"),
        ("NoSuchBucket", "PutObject failed: no s3:PutObject (NoSuchBucket)"),
    ],
)
def test_what_aws_refuses_is_one_line(code: str, words: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "no\ns3:PutObject"}}, "PutObject")
    text = str(explain(error))
    assert words in text
    assert "\n" not in text


def test_an_endpoint_nobody_listens_on_is_said_in_one_line() -> None:
    text = str(explain(EndpointConnectionError(endpoint_url="http://127.0.0.1:9")))
    assert "http://127.0.0.1:9" in text
    assert "usher twin status" in text


def test_a_defect_is_not_explained_away() -> None:
    assert explain(KeyError("x")) is None


def test_missing_outputs_are_all_named() -> None:
    with pytest.raises(CommandError, match="stack usher has no output Database, LakeBucket, StateTable, Workgroup"):
        Resources.read({"LandingBucket": "landing"}, "usher")


def test_outputs_become_resources() -> None:
    resources = Resources.read(OUTPUTS, "usher")
    assert (resources.landing_bucket, resources.state_table) == ("landing", "state")
    assert (resources.ingest_queue_url, resources.catalog_queue_url) == ("https://queue", "")


def test_the_running_twin_is_used_unless_something_else_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "_running_twin", lambda _: Running())
    target = find(Choice(), environ={})
    assert (target.endpoint, target.stack_name) == ("http://127.0.0.1:5555", "mine")
    assert "twin at http://127.0.0.1:5555" in target.description
    assert target.client("s3").meta.endpoint_url == "http://127.0.0.1:5555"
    assert find(Choice(stack_name="other"), environ={}).stack_name == "other"
    with pytest.raises(NoCredentialsError):
        find(Choice(account=True, region="eu-west-1"), environ={})


def test_aws_endpoint_url_wins_over_the_running_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "_running_twin", lambda _: Running())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    target = find(Choice(), environ={"AWS_ENDPOINT_URL": "http://127.0.0.1:7777"})
    assert (target.endpoint, target.stack_name) == ("http://127.0.0.1:7777", "usher")
    assert target.session.region_name == "eu-central-1"
    assert "AWS_ENDPOINT_URL" in target.description


@mock_aws
def test_an_account_is_named_with_its_number_and_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    target = find(Choice(account=True, region="eu-west-1"))
    assert target.description == "AWS account 123456789012, eu-west-1"
    assert target.endpoint is None
    assert target.client("s3").meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Another emulator's endpoint, with credentials for it in the environment and in the profile `staging`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(
        "[profile staging]\nregion = eu-west-1\naws_access_key_id = c\naws_secret_access_key = d\n"
    )
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.mark.parametrize("choice", [Choice(account=True, region="eu-west-1"), Choice(profile="staging")])
def test_an_account_at_aws_endpoint_url_is_asked_there_and_named_with_it(
    choice: Choice, emulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    target = find(choice)
    of_profile = ", profile staging" if choice.profile else ""
    assert target.description == f"{emulator} (AWS_ENDPOINT_URL), account 123456789012, eu-west-1{of_profile}"
    assert target.endpoint == emulator
    assert target.client("s3").meta.endpoint_url == emulator
    assert target.dynamodb().meta.client.meta.endpoint_url == emulator
    assert agent_client(target, 1).meta.endpoint_url == emulator


def test_one_services_endpoint_is_used_and_named(emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:7777")
    target = find(Choice(profile="staging"))
    assert target.client("s3").meta.endpoint_url == "http://127.0.0.1:7777"
    assert target.client("sqs").meta.endpoint_url == emulator
    assert target.description.endswith(", AWS_ENDPOINT_URL_S3")


def test_a_profiles_endpoint_is_used_and_named(emulator: str) -> None:
    with Path(os.environ["AWS_CONFIG_FILE"]).open("a") as config:
        config.write(f"endpoint_url = {emulator}\n")
    target = find(Choice(profile="staging"))
    assert target.description.startswith(f"{emulator} (the profile's endpoint_url), account 123456789012")
    assert target.client("s3").meta.endpoint_url == emulator


@mock_aws
def test_endpoints_that_are_to_be_ignored_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:7777")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    target = find(Choice(account=True, region="eu-west-1"))
    assert target.description == "AWS account 123456789012, eu-west-1"
    assert target.client("s3").meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"


@mock_aws
def test_a_missing_stack_and_one_without_outputs_are_told_apart() -> None:
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1")
    target = Target(session, "usher", "the twin")
    with pytest.raises(CommandError, match="stack usher not found on the twin"):
        _ = target.resources
    template: dict[str, Any] = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    target.client("cloudformation").create_stack(StackName="usher", TemplateBody=json.dumps(template))
    with pytest.raises(CommandError, match="no outputs yet"):
        _ = target.resources
