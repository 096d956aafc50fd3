"""The OpenAPI document is a valid one, and nothing stands in it that is not checked."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate

from usher.api import openapi
from usher.api.problems import KINDS, Problem
from usher.api.validation import check, from_text, refuse_unchecked


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "string", "pattern": "a+"}, "pattern would not be checked"),
        ({"type": ["string", "null"]}, "would not be checked"),
        ({}, "would not be checked"),
        ({"type": "string", "format": "email"}, "format 'email' would not be checked"),
        ({"type": "array", "items": {"type": "string", "pattern": "a"}}, r"x\[\]: pattern"),
        ({"type": "object", "properties": {"a": {"type": "string", "const": 1}}}, r"x\.a: const"),
        ({"oneOf": [{"type": "string"}, {"type": "string"}]}, "must differ in type"),
        ({"oneOf": [{"type": "string"}], "maxLength": 2}, "stand alone"),
        ({"oneOf": [{"type": "string", "pattern": "a"}, {"type": "number"}]}, "x: pattern"),
    ],
)
def test_a_rule_that_nobody_would_check_is_refused(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        refuse_unchecked(schema, "x")


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9}, True, "x must be a whole number from 1 to 9"),
        ({"type": "integer"}, 1.0, "x must be a whole number"),
        ({"type": "integer", "minimum": 1}, 0, "x is 0: it must be 1 or more"),
        ({"type": "number"}, float("nan"), "x must be a number"),
        ({"type": "number"}, 10**400, "x must be a number"),
        ({"oneOf": [{"type": "number"}, {"type": "string"}]}, True, "x must be a number or a string"),
        ({"oneOf": [{"type": "number"}, {"type": "string", "format": "usher-time"}]}, "now", "x is 'now': give epoch"),
        ({"type": "string", "format": "usher-time"}, "2100-01-01", "times are from 1970 to 2100"),
        ({"type": "number", "minimum": 0.5, "maximum": 5}, 5.1, "x is 5.1: it must be from 0.5 to 5"),
        ({"type": "string"}, None, "x must be a string"),
        ({"type": "string", "minLength": 1}, "", "x must not be empty"),
        ({"type": "string", "maxLength": 2}, "abc", "x has 3 characters: 2 are allowed"),
        ({"type": "string", "enum": ["a", "b"]}, "c", "x must be one of a, b"),
        ({"type": "string", "format": "usher-id"}, "a\x00", "x has a control character"),
        ({"type": "string", "format": "usher-id"}, "\ud800", "x is not valid Unicode"),
        ({"type": "string", "format": "usher-date"}, "2005-02-30", "give a year or a date"),
        ({"type": "string", "format": "usher-date"}, "20050230", "give a year or a date"),
        ({"type": "array", "maxItems": 1, "items": {"type": "string"}}, ["a", "b"], "x has 2 entries: 0 to 1"),
        ({"type": "array", "items": {"type": "string"}}, ["a", 2], r"x\[1\] must be a string"),
        ({"type": "object"}, [], "x must be an object"),
        ({"type": "object", "required": ["a"]}, {}, r"x\.a is missing"),
        ({"type": "object", "properties": {"limit": {}}, "additionalProperties": False}, {"limt": 1}, "mean limit"),
    ],
)
def test_a_value_outside_its_schema_is_refused_by_name(schema: dict[str, Any], value: Any, message: str) -> None:
    with pytest.raises(Problem, match=message) as caught:
        check(schema, value, "x")
    assert caught.value.parameter.startswith(("x", "limt"))


@pytest.mark.parametrize(("kind", "text"), [("integer", "1.0"), ("integer", "٣"), ("integer", "--1"), ("boolean", "1")])
def test_a_text_that_spells_no_such_value_is_refused(kind: str, text: str) -> None:
    with pytest.raises(Problem, match="x is"):
        from_text({"type": kind}, text, "x")


def test_the_document_is_valid_openapi() -> None:
    validate(openapi.document())


def test_every_operation_is_read_and_every_rule_is_one_that_is_checked() -> None:
    assert {(o.id, o.method, o.path) for o in openapi.operations().values()} == {
        ("recommend", "GET", "/recommendations"),
        ("recommendSession", "POST", "/recommendations"),
        ("similar", "GET", "/similar"),
        ("popular", "GET", "/popular"),
        ("feedback", "POST", "/feedback"),
        ("experiment", "GET", "/experiment"),
        ("health", "GET", "/health"),
    }


def test_every_problem_has_a_status_that_the_document_names() -> None:
    named = set(openapi.document()["components"]["responses"])
    statuses = {str(status) for status, _ in KINDS.values()} - {"405"}  # API Gateway routes no other method here
    assert statuses <= named
