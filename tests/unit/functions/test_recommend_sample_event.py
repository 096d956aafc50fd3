"""The sample event in events/ is what the handler takes, from the environment it is deployed with to its response."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.unit.state_table import STATE_TABLE

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The handler in a fresh module: what it keeps between requests is its own."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    spec = importlib.util.spec_from_file_location("recommend_app", PROJECT / "functions/recommend_items/app.py")
    assert spec is not None and spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    return app.handler


def sample() -> Any:
    return json.loads((PROJECT / "events/recommend_items.json").read_text())


def test_a_function_without_its_settings_says_which_in_the_log_alone(
    capfd: pytest.CaptureFixture[str], handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("USHER_STATE_TABLE", raising=False)
    response = handler(sample(), None)
    assert response["statusCode"] == 500
    assert "USHER" not in response["body"]
    captured = capfd.readouterr()
    assert "USHER_STATE_TABLE is missing" in captured.out + captured.err


def test_the_sample_gets_a_problem_before_the_first_model(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws():
        boto3.client("dynamodb").create_table(**STATE_TABLE)
        monkeypatch.setenv("USHER_STATE_TABLE", "state")
        monkeypatch.setenv("USHER_ENDPOINT_NAME", "usher")
        monkeypatch.setenv("USHER_SIGNING_SECRET_ARN", "arn")
        response = handler(sample(), None)
        assert (response["statusCode"], response["headers"]["retry-after"]) == (503, "30")
        assert json.loads(response["body"])["type"] == "urn:usher:problem:no-answer-yet"
        boto3.resource("dynamodb").Table("state").put_item(
            Item={"pk": "ROUTER", "sk": "POPULAR", "model_id": "r1-1", "lists": '{"all": [], "genres": {}}'}
        )
        response = handler(sample(), None)
        assert (response["statusCode"], json.loads(response["body"])["level"]) == (200, "popular")
