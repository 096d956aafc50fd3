"""What a target receives of an event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twin.events import rules
from twin.events.rules import InvalidTarget

EVENT: dict[str, Any] = {
    "id": "7bf7",
    "detail-type": "Object Created",
    "detail": {
        "bucket": {"name": "landing"},
        "object": {"key": 'a "quoted" key', "size": 7},
        "tags": [{"n": 1}, {"n": 2}],
    },
}
PATHS = {"key": "$.detail.object.key", "size": "$.detail.object.size", "tags": "$.detail.tags"}


def _input(**target: Any) -> Any:
    return json.loads(rules.target_input(target, EVENT))


def _filled(template: str, **paths: str) -> Any:
    rules._check_transformer(paths, template)
    return _input(InputTransformer={"InputPathsMap": paths, "InputTemplate": template})


@pytest.mark.parametrize(
    ("paths", "template"),
    [
        ({}, '{"a": <b>'),
        ({}, "plain <b>"),
        ({}, '{"a": <b>}'),
        ({"a": "$..b"}, "<a>"),
        ({"a": "detail"}, "<a>"),
        ({"a": "$.detail[0]"}, "<a>"),
        ({"a": "$.detail"}, '{"text": "it is <a>"}'),
        ({"a": "$.detail"}, "{"),
    ],
)
def test_an_input_that_cannot_work_is_refused(paths: dict[str, str], template: str) -> None:
    with pytest.raises(InvalidTarget):
        rules._check_transformer(paths, template)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(5 seconds)",
        "rate(-1 days)",
        "every",
        "cron(0 12 * * ? *)",
    ],
)
def test_an_invalid_rate_is_refused(expression: str) -> None:
    with pytest.raises(InvalidTarget, match="rate"):
        rules.rate_seconds(expression)


@pytest.mark.parametrize(("expression", "seconds"), [("rate(1 minute)", 60), ("rate(2 hours)", 7200)])
def test_a_rate_is_a_number_of_seconds(expression: str, seconds: int) -> None:
    assert rules.rate_seconds(expression) == seconds


def test_without_settings_the_whole_event_goes() -> None:
    assert _input() == EVENT


def test_a_constant_goes_as_it_is() -> None:
    assert _input(Input='{"a": 1}') == {"a": 1}


def test_values_are_filled_in_as_json() -> None:
    filled = _filled('{"key": <key>, "size": <size>, "tags": <tags>}', **PATHS)
    assert filled == {"key": 'a "quoted" key', "size": 7, "tags": [{"n": 1}, {"n": 2}]}


def test_a_missing_value_is_null() -> None:
    assert _filled('{"a": <no>, "b": <deep>}', no="$.detail.nothing", deep="$.id.more") == {"a": None, "b": None}


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    target = {"InputTransformer": {"InputPathsMap": {"a": "$.x", "b": "$.y"}, "InputTemplate": '{"x": <a>, "y": <b>}'}}
    assert json.loads(rules.target_input(target, {"x": "<b>", "y": "secret"})) == {"x": "<b>", "y": "secret"}
