"""Whatever comes in, it is read as the OpenAPI document allows or becomes a problem; and starting up is cheap."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.api.docs import markdown
from usher.api.problems import Problem
from usher.schema.ids import check_id
from usher.serving import metrics
from usher.serving.request import Request, read

PROJECT = Path(__file__).parents[4]
NAMES = ["user_id", "item_id", "limit", "genre", "exclude", "not_released_after", "explain", "x"]
texts = st.text(max_size=12) | st.sampled_from(["", "1", "0", "-1", "true", "2005", "2005-06-30", "a" * 129, "9" * 30])
pairs = st.lists(st.tuples(st.sampled_from(NAMES), texts), max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "session", "rating"]), inner),
    max_leaves=8,
)


def event(method: str, path: str, **fields: Any) -> dict[str, Any]:
    return {"rawPath": path, "requestContext": {"stage": "$default", "http": {"method": method}}, **fields}


def checked(given: dict[str, Any]) -> None:
    """A request within the document's bounds, or a problem; no other exception passes."""
    try:
        request = read(given)
    except Problem as problem:
        assert problem.document()["status"] in (400, 404, 405, 413)
        return
    assert isinstance(request, Request)
    assert 1 <= request.limit <= 100
    ids = [*request.exclude, *(item for item, _ in request.session)]
    assert all(check_id(one) is None for one in [*ids, request.user_id or "x", request.item_id or "x"])
    assert all(0.5 <= rating <= 5 for _, rating in request.session)


@given(path=st.sampled_from(["/recommendations", "/similar", "/popular", "/health", "/feedback", "/"]), query=pairs)
def test_any_query_is_read_or_refused(path: str, query: list[tuple[str, str]]) -> None:
    text = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in query)
    checked(event("GET", path, rawQueryString=text))


@given(body=st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    checked(event("POST", "/recommendations", body=base64.b64encode(body).decode(), isBase64Encoded=True))


@given(query=st.text(max_size=60))
def test_any_query_string_is_read_or_refused(query: str) -> None:
    checked(event("GET", "/recommendations", rawQueryString=query))


def test_starting_up_loads_nothing_that_the_read_path_does_not_need() -> None:
    """Milliseconds of CPU: Pydantic 240, numpy 95, the X-Ray SDK 370, Powertools' resolver 124."""
    code = "import aws_lambda_powertools, usher.api.responses, usher.serving.bootstrap, sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    apart = {"numpy", "usher_scorer", "pydantic", "aws_xray_sdk", "jsonschema", "aws_lambda_powertools.event_handler"}
    assert "usher.serving.service" in loaded
    assert not loaded & apart


def test_the_documentation_is_made_from_the_document() -> None:
    assert (PROJECT / "docs/api.md").read_text() == markdown()


@pytest.mark.parametrize(
    ("status", "body", "counted"),
    [
        (200, {"recommendation_id": None, "level": "model", "items": []}, "LevelModel EmptyAnswers UnsignedAnswers"),
        (200, {"recommendation_id": "v1", "level": "popular", "items": [1]}, "LevelPopular"),
        (400, {}, "RequestsRefused"),
        (503, {}, "ServerErrors"),
        (200, {"status": "serving"}, ""),
    ],
)
def test_an_answer_is_counted_by_its_rung(
    status: int, body: dict[str, Any], counted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics.Telemetry("recommend_items", None).answered(status, body)
    line = json.loads(capsys.readouterr().out)
    directive = line["_aws"]["CloudWatchMetrics"][0]
    names = [metric["Name"] for metric in directive["Metrics"]]
    assert names == ["Requests", *counted.split()]
    assert directive["Dimensions"] == [["service"]] and line["service"] == "recommend_items"
    assert all(line[name] == 1 for name in names)
