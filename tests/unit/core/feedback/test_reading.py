"""What comes in is read as the document allows or refused with a reason that names the field; starting up is cheap."""

from __future__ import annotations

import base64
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator

from usher.api import openapi
from usher.api.problems import Problem
from usher.feedback.parsing import AHEAD_SECONDS, BODY_MAX_BYTES, Feedback, Refused, read
from usher.schema.ids import check_id
from usher.schema.times import iso, seconds_of

if TYPE_CHECKING:
    from tests.unit.core.feedback.conftest import Desk

PROJECT = Path(__file__).parents[4]
NOW = 1_800_000_000.0
GOOD = {"event_id": "e1", "user_id": "u", "item_id": "1", "type": "click"}
FIELDS = [*GOOD, "value", "at", "recommendation_id", "x"]


def event(body: Any, **fields: Any) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    context = {"stage": "$default", "http": {"method": "POST"}}
    return {"rawPath": "/feedback", "requestContext": context, "body": text, **fields}


def refusal(body: Any) -> Problem:
    """Why one object is refused."""
    (entry,) = read(event(body), NOW).entries
    assert isinstance(entry, Refused)
    return entry.problem


@pytest.mark.parametrize(
    ("change", "parameter", "said"),
    [
        ({"event_id": ""}, "event_id", "has 0 bytes"),
        ({"event_id": "x" * 10_240}, "event_id", "has 10240 bytes"),
        ({"user_id": "ü" * 65}, "user_id", "has 130 bytes"),
        ({"item_id": "a\nb"}, "item_id", "control character"),
        ({"item_id": 318}, "item_id", "must be a string"),
        ({"type": "like"}, "type", "must be one of rating, click, purchase, view"),
        ({"type": "rating"}, "value", "value is missing"),
        ({"type": "rating", "value": 0.4}, "value", "value is 0.4: a rating is from 0.5 to 5"),
        ({"type": "rating", "value": 5.1}, "value", "a rating is from 0.5 to 5"),
        ({"value": "3"}, "value", "must be a number"),
        ({"value": True}, "value", "must be a number"),
        ({"value": 10**400}, "value", "must be a number"),
        ({"at": NOW + AHEAD_SECONDS + 1}, "at", "in the future"),
        ({"at": (NOW + AHEAD_SECONDS + 1) * 1000}, "at", "in the future"),
        ({"at": "2099-12-31"}, "at", "in the future"),
        ({"at": -1}, "at", "times are from 1970 to 2100"),
        ({"at": "1969-12-31T23:59:59Z"}, "at", "times are from 1970 to 2100"),
        ({"at": "1066-10-14"}, "at", "times are from 1970 to 2100"),
        ({"at": "yesterday"}, "at", "give epoch seconds"),
        ({"at": None}, "at", "must be a number or a string"),
        ({"recommendation_id": "v" * 10_240}, "recommendation_id", "has 10240 characters: 4096 are allowed"),
        ({"recommendation_id": ""}, "recommendation_id", "must not be empty"),
        ({"recommendation_id": "v1.\ud800.x"}, "recommendation_id", "send it as the API returned it"),
        ({"recommendation_id": "v1\x00"}, "recommendation_id", "send it as the API returned it"),
        ({"rating": 4}, "rating", "is not a parameter"),
    ],
)
def test_a_bad_field_is_refused_by_its_name_alone_and_in_a_list(
    change: dict[str, Any], parameter: str, said: str
) -> None:
    problem = refusal(GOOD | change)
    assert (problem.status, problem.parameter) == (400, parameter) and said in problem.detail
    entries = read(event([GOOD, GOOD | change]), NOW).entries
    assert isinstance(entries[0], Feedback) and isinstance(entries[1], Refused)
    assert entries[1].problem.parameter == f"[1].{parameter}"
    assert entries[1].event_id == (None if parameter == "event_id" else "e1")


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_field_is_named(name: str) -> None:
    problem = refusal({field: value for field, value in GOOD.items() if field != name})
    assert (problem.kind, problem.parameter) == ("missing-parameter", name)


@pytest.mark.parametrize(
    ("given", "status", "kind", "parameter"),
    [
        (event([GOOD] * 101), 400, "bad-body", "body"),
        (event([]), 400, "bad-body", "body"),
        (event(""), 400, "bad-body", ""),
        (event("{"), 400, "bad-body", ""),
        (event('{"at": NaN}'), 400, "bad-body", ""),
        (event("[" * 100_000), 400, "bad-body", ""),
        (event("\ud800"), 400, "bad-body", ""),
        (event("not base64!", isBase64Encoded=True), 400, "bad-body", ""),
        (event(" " * (BODY_MAX_BYTES + 1)), 413, "too-large", ""),
        (event(GOOD, rawQueryString="user_id=1"), 400, "unknown-parameter", "user_id"),
        (event(GOOD, rawPath="/recommendations"), 404, "not-found", ""),
        (event(GOOD, requestContext={"http": {"method": "GET"}}), 405, "method-not-allowed", ""),
    ],
)
def test_a_request_that_is_no_feedback_is_a_problem(
    given: dict[str, Any], status: int, kind: str, parameter: str
) -> None:
    with pytest.raises(Problem) as caught:
        read(given, NOW)
    assert (caught.value.status, caught.value.kind, caught.value.parameter) == (status, kind, parameter)


@pytest.mark.parametrize("text", ['"text"', "7", "null", "true"])
def test_what_is_neither_an_object_nor_a_list_is_refused(text: str) -> None:
    assert refusal(text).kind == "bad-parameter"


@pytest.mark.parametrize(
    "at", [1_772_366_400, 1_772_366_400_000, "1772366400", "2026-03-01T12:00:00Z", "2026-03-01 13:00+01:00"]
)
def test_one_instant_may_be_written_in_several_ways(at: Any) -> None:
    (entry,) = read(event(GOOD | {"at": at}), NOW).entries
    assert isinstance(entry, Feedback) and entry.at == 1_772_366_400


@given(seconds=st.floats(0, 4_102_444_799))
def test_an_instant_is_written_so_that_it_reads_as_the_same_microsecond(seconds: float) -> None:
    assert abs(seconds_of(iso(seconds)) - seconds) <= 1e-6


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)
near_misses = st.fixed_dictionaries(dict.fromkeys(GOOD, json_values | st.sampled_from(["e", "click", "rating"])))


@given(body=st.binary(max_size=60) | (json_values | near_misses).map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        batch = read(event(base64.b64encode(body).decode(), isBase64Encoded=True), NOW)
    except Problem as problem:
        assert problem.status in (400, 413)
        return
    for entry in batch.entries:
        if isinstance(entry, Feedback):
            assert all(check_id(value) is None for value in (entry.event_id, entry.user_id, entry.item_id))
            assert entry.at is None or 0 <= entry.at <= NOW + AHEAD_SECONDS
            assert entry.type != "rating" or (entry.value is not None and 0.5 <= entry.value <= 5)


def test_what_is_answered_is_what_the_document_says(desk: Desk) -> None:
    schemas = openapi.document()["components"]["schemas"]
    fault = GOOD | {"event_id": "e2", "at": "never"}
    for body, name in [(GOOD, "FeedbackResult"), ([GOOD, fault], "FeedbackResults"), ([fault], "Problem")]:
        status, said = desk.send(body)
        documented = openapi.document()["paths"]["/feedback"]["post"]["responses"]
        assert str(status) in documented
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        assert [error.message for error in OAS31Validator(schema).iter_errors(said)] == []


def test_the_sample_event_is_taken_in_the_environment_that_the_function_is_deployed_with(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = json.loads((PROJECT / "events/ingest_feedback.json").read_text())
    spec = importlib.util.spec_from_file_location("feedback_app", PROJECT / "functions/ingest_feedback/app.py")
    assert spec is not None and spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    assert app.handler(sample, None)["statusCode"] == 500, "without its settings, which the log names"
    monkeypatch.setenv("USHER_STATE_TABLE", "state")
    monkeypatch.setenv("USHER_STREAM_PREFIX", "usher-")
    monkeypatch.setenv("USHER_SIGNING_SECRET_ARN", desk.secret)
    answer = app.handler(sample, None)
    assert (answer["statusCode"], json.loads(answer["body"])["accepted"]) == (202, True)
    assert desk.recent("42") == [("318", 4.5)]


def test_starting_up_loads_nothing_that_feedback_does_not_need() -> None:
    """Milliseconds of CPU: Pydantic 240, numpy 95, the X-Ray SDK 370, Powertools' resolver 124."""
    code = "import aws_lambda_powertools, usher.feedback.service, usher.feedback.bootstrap, sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    apart = {"numpy", "usher_scorer", "pydantic", "aws_xray_sdk", "jsonschema", "aws_lambda_powertools.event_handler"}
    assert "usher.feedback.service" in loaded
    assert not loaded & apart
