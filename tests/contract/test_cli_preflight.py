"""`usher preflight` in a new account prints the requests that raise the quotas, and finds no fault after them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.target import Target
from twin import context
from twin.context import Context

Client = Callable[[str], Any]


@pytest.fixture
def preflight(server: Context, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command in an account that is new, and has no stack."""
    monkeypatch.setattr(context, "_current", replace(context.current(), new_account=True))
    session = boto3.Session(context.ACCESS_KEY, context.SECRET_KEY, region_name=server.region)
    target = Target(session, "shop", "the twin", endpoint=server.endpoint)
    return lambda *arguments: CliRunner().invoke(main.app, ["preflight", *arguments], obj=target)


def test_the_printed_requests_are_all_that_a_new_account_needs(
    preflight: Callable[..., Result], client: Client
) -> None:
    result = preflight()
    assert result.exit_code == 1, result.output
    refused = [one["detail"] for one in json.loads(preflight("--json").stdout) if one["state"] == "refused"]
    assert [re.sub(r" \(L-.*", "", detail) for detail in refused] == [
        "ml.m5.xlarge for training job usage",
        "ml.m5.xlarge for processing job usage",
        "ml.c5.large for endpoint usage",
    ]
    requests = re.findall(
        r"--service-code (\S+) --quota-code (\S+) --desired-value (\d+) --region eu-west-1", result.stdout
    )
    assert len(requests) == 4  # Lambda's is a warning
    for service, code, value in requests:
        client("service-quotas").request_service_quota_increase(
            ServiceCode=service, QuotaCode=code, DesiredValue=float(value)
        )
    again = preflight()
    assert again.exit_code == 0, again.output
    assert "Nothing would be refused." in again.stdout
    assert {one["state"] for one in json.loads(preflight("--json").stdout)} == {"fine"}


def test_fewer_trainings_at_once_need_less(preflight: Callable[..., Result]) -> None:
    given = ("--parameter", "ParallelAlgorithms=1", "--parameter", "ParallelTrials=1")
    (training,) = [
        one for one in json.loads(preflight("--json", *given).stdout) if "5.xlarge for training" in one["detail"]
    ]
    assert "is 0, needed: 1 (" in training["detail"]


def test_without_an_endpoint_none_is_needed(preflight: Callable[..., Result]) -> None:
    found = json.loads(preflight("--json", "--parameter", "ServingBackend=function").stdout)
    assert not [one for one in found if "endpoint" in one["detail"] and one["check"] == "SageMaker quota"]
