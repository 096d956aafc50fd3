"""Every function has a sample event, of the very form that AWS sends."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from cli.commands import sample
from usher.schema.datasets import DATASETS

PROJECT = Path(__file__).parents[3]
FUNCTIONS = sorted(path.parent.name for path in PROJECT.glob("functions/*/app.py"))


def event(name: str) -> Any:
    return json.loads((PROJECT / "events" / f"{name}.json").read_text())


def test_every_function_has_a_sample_and_every_sample_a_function() -> None:
    assert sample.names() == FUNCTIONS


@pytest.mark.parametrize("name", ["catalog_objects", "ingest_objects", "prepare_next"])
def test_messages_have_sqs_s_fields_and_their_body_s_checksum(name: str) -> None:
    for record in event(name)["Records"]:
        assert record["eventSource"] == "aws:sqs"
        assert {"messageId", "receiptHandle", "attributes", "messageAttributes", "awsRegion"} <= record.keys()
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
        assert isinstance(json.loads(record["body"]), dict)


@pytest.mark.parametrize("name", ["ingest_objects", "prepare_next"])
def test_messages_of_eventbridge_hold_a_whole_event(name: str) -> None:
    fields = {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert json.loads(event(name)["Records"][0]["body"]).keys() == fields


@pytest.mark.parametrize("name", ["ingest_feedback", "recommend_items"])
def test_requests_are_payload_2_of_an_http_api(name: str) -> None:
    request = event(name)
    assert request["version"] == "2.0"
    http = request["requestContext"]["http"]
    assert request["routeKey"] == request["requestContext"]["routeKey"] == f"{http['method']} {request['rawPath']}"


def test_a_transformation_brings_records_of_a_data_set_in_base64() -> None:
    given = event("ingest_stream")
    assert given["deliveryStreamArn"].rpartition("-")[2] in DATASETS
    assert all(json.loads(base64.b64decode(record["data"])) for record in given["records"])
    assert len({record["recordId"] for record in given["records"]}) == len(given["records"])


@pytest.mark.parametrize("name", ["prepare_run", "evaluate_gate", "deploy_experiment", "shift_traffic"])
def test_inputs_of_a_state_have_the_names_that_the_workflow_gives(name: str) -> None:
    state = "Tick" if name == "shift_traffic" else "".join(part.capitalize() for part in name.split("_"))
    workflow = "shift_traffic" if name == "shift_traffic" else "train_and_deploy"
    definition = json.loads((PROJECT / "statemachines" / f"{workflow}.asl.json").read_text())
    assert event(name).keys() == definition["States"][state]["Arguments"]["Payload"].keys()
