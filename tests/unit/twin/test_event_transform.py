"""What a target gets of an event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twin.events import transform
from twin.events.transform import InputError

EVENT: dict[str, Any] = {
    "id": "7bf7",
    "detail-type": "Object Created",
    "resources": ["arn:aws:s3:::landing"],
    "detail": {
        "bucket": {"name": "landing"},
        "object": {"key": 'a "quoted" key', "size": 7},
        "tags": [{"n": 1}, {"n": 2}],
    },
}
PREDEFINED = {
    "aws.events.rule-arn": "arn:rule",
    "aws.events.rule-name": "rule",
    "aws.events.event.ingestion-time": "2026-11-24T12:00:00Z",
}
PATHS = {"key": "$.detail.object.key", "size": "$.detail.object.size", "tags": "$.detail.tags"}


def _input(**target: Any) -> Any:
    transform.check(target)
    return json.loads(transform.target_input(target, EVENT, PREDEFINED))


def _filled(template: str, **paths: str) -> Any:
    return _input(InputTransformer={"InputPathsMap": paths, "InputTemplate": template})


@pytest.mark.parametrize(
    "target",
    [
        {"Input": "{"},
        {"Input": "1", "InputPath": "$.detail"},
        {"InputPath": "detail"},
        {"InputPath": "$.detail[?(@.x)]"},
        {"InputTransformer": {"InputTemplate": '{"a": <b>'}},
        {"InputTransformer": {"InputTemplate": "plain <b>"}},
        {"InputTransformer": {"InputPathsMap": {"a": "$..b"}, "InputTemplate": "<a>"}},
    ],
)
def test_an_input_that_cannot_work_is_refused(target: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        transform.check(target)


def test_without_settings_the_whole_event_goes() -> None:
    assert _input() == EVENT


def test_a_constant_goes_as_it_is() -> None:
    assert _input(Input='{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", EVENT),
        ("$.detail.bucket.name", "landing"),
        ("$.detail-type", "Object Created"),
        ("$['detail-type']", "Object Created"),
        ("$.resources[0]", "arn:aws:s3:::landing"),
        ("$.detail.tags[*].n", [1, 2]),
        ("$.detail.missing", None),
        ("$.resources[7]", None),
    ],
)
def test_a_path_takes_a_part(path: str, found: Any) -> None:
    assert _input(InputPath=path) == found


def test_outside_quotes_a_value_stays_json() -> None:
    filled = _filled('{"key": <key>, "size": <size>, "tags": <tags>}', **PATHS)
    assert filled == {"key": 'a "quoted" key', "size": 7, "tags": [{"n": 1}, {"n": 2}]}


def test_inside_quotes_a_value_becomes_text() -> None:
    filled = _filled('{"text": "<key> has <size> bytes, <tags>"}', **PATHS)
    assert filled == {"text": 'a "quoted" key has 7 bytes, [{"n": 1}, {"n": 2}]'}


def test_a_missing_value_is_null_or_nothing() -> None:
    assert _filled('{"a": <no>, "b": "-<no>-"}', no="$.detail.nothing") == {"a": None, "b": "--"}


def test_a_template_may_be_one_text_or_several_lines_of_it() -> None:
    assert _filled('"<key> came"', key="$.detail.bucket.name") == "landing came"
    assert _filled('"<key> came"\n"and stayed"', key="$.detail.bucket.name") == "landing came\nand stayed"


def test_the_predefined_variables_are_there() -> None:
    template = '{"rule": "<aws.events.rule-name>", "all": <aws.events.event.json>, "head": <aws.events.event>}'
    filled = _filled(template)
    assert filled["rule"] == "rule"
    assert filled["all"] == EVENT
    assert filled["head"] == {name: value for name, value in EVENT.items() if name != "detail"}


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    values = {"a": "<b>", "b": "secret"}
    assert json.loads(transform.fill('{"x": "<a>", "y": <a>}', values)) == {"x": "<b>", "y": "<b>"}
